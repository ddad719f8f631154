"""Statistics of the structural coefficients whose size does not depend on the strength of the instruments.

Pure functions of a :class:`~causalrep.iv.system.System` and the hypothesized value ``beta0``: they run under
``jit``, and under ``vmap`` over values, data sets, or both. ``vmap`` over values factorizes the data once.
Users call :mod:`causalrep.iv.weak.hypotheses`, which checks its data.

With the reduced-form covariance whitened, a null value is a direction ``u`` on the unit sphere and the data
one symmetric matrix ``A``: AR = u'Au, LM = u'AB (B'AB)^{-1} B'Au for an orthonormal complement B of u,
LR = u'Au - min eig A, and the conditioning statistic is B'AB.

References:
    Anderson, Rubin (1949), Annals of Mathematical Statistics 20. Kleibergen (2002), Econometrica 70 (LM).
    Moreira (2003), Econometrica 71 (CLR). Kleibergen (2005), Econometrica 73 (robust LM and CLR).
    Guggenberger, Kleibergen, Mavroeidis, Chen (2012), Econometrica 80 (AR for one of several coefficients).
    Kleibergen (2021), Quantitative Economics 12 (CLR for one of several). Andrews, Stock, Sun (2019), Annual
    Review of Economics 11 (survey and the reduced-form formulation of the robust versions).
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.errors import InputError
from causalrep.iv.distributions import TestResult, chi2_result, f_result
from causalrep.iv.system import ReducedForm, System, Whitened, moments, reduced_form, whiten
from causalrep.iv.weak.conditional import conditional_p_value
from causalrep.linalg import spd_solve
from causalrep.precision import full_products

Value = Float[Array, "*p"] | float


@full_products
def anderson_rubin_statistic(
    system: System,
    beta0: Value,
    *,
    index: int | None = None,
    covariance: str = "homoskedastic",
    distribution: str = "F",
) -> TestResult:
    """Anderson-Rubin test that the coefficients of x equal ``beta0``.

    Args:
        system: The data.
        beta0: Hypothesized value: (p,), a scalar if p = 1; with ``index``, the scalar value of that coefficient.
        index: Test this coefficient alone, with the others profiled out by LIML: chi2 or F with
            k - (p - 1) degrees of freedom bounds the distribution (homoskedastic only).
        covariance: ``"homoskedastic"``, ``"HC0"``, ``"HC1"`` or ``"cluster"``.
        distribution: ``"F"`` or ``"chi2"``; ``df_den`` is infinite for the latter.
    """
    _, p, k, _ = system.sizes
    df = k if index is None else k - p + 1
    if covariance == "homoskedastic":
        df_den: Any = system.dof
        white = whiten(moments(system), system.dof)
        u = _null_direction(white, beta0, index)
        statistic = u @ white.gram @ u
    else:
        _require_joint(index, p)
        form = reduced_form(system, covariance)
        direction = _full_direction(beta0, p, system.y.dtype)
        statistic, df_den = robust_statistics(form, direction)[0], form.df_den
    if distribution == "chi2":
        return chi2_result(statistic, df)
    return f_result(statistic / df, df, df_den)


@full_products
def lm_statistic(
    system: System, beta0: Value, *, index: int | None = None, covariance: str = "homoskedastic"
) -> TestResult:
    """Kleibergen's LM (K) test that the coefficients of x equal ``beta0``.

    Arguments as in :func:`anderson_rubin_statistic`; with ``index``, the other coefficients take their LIML
    estimates under the null (Kleibergen 2004), which only makes the test conservative.
    """
    p = system.sizes[1]
    if covariance == "homoskedastic":
        white = whiten(moments(system), system.dof)
        statistic = score_statistic(white.gram, _null_direction(white, beta0, index))
    else:
        _require_joint(index, p)
        form = reduced_form(system, covariance)
        statistic = robust_statistics(form, _full_direction(beta0, p, system.y.dtype))[1]
    return chi2_result(statistic, p if index is None else 1)


@full_products
def lr_statistic(system: System, beta0: Value, *, index: int | None = None) -> TestResult:
    """Likelihood-ratio test that the coefficients of x equal ``beta0``, against its strong-instrument chi2."""
    _, p, k, _ = system.sizes
    white = whiten(moments(system), system.dof)
    u = _null_direction(white, beta0, index)
    return chi2_result(_likelihood_ratio(white.gram, u, k)[0], p if index is None else 1)


@full_products
def clr_statistic(
    system: System, beta0: Value, *, index: int | None = None, covariance: str = "homoskedastic"
) -> TestResult:
    """Moreira's conditional likelihood-ratio test that the coefficients of x equal ``beta0``.

    The p-value is conditional on the strength of the instruments, exact for one endogenous regressor when the
    reduced-form covariance is known, by numerical integration (:func:`conditional_p_value`). For p > 1 tested
    jointly, and with ``index``, the smallest eigenvalue gives an upper bound on the p-value. With a robust or
    clustered ``covariance`` (p = 1) it is the quasi-CLR of Kleibergen (2005). Arguments as in
    :func:`anderson_rubin_statistic`.
    """
    _, p, k, _ = system.sizes
    tested = p if index is None else 1
    if covariance == "homoskedastic":
        white = whiten(moments(system), system.dof)
        u = _null_direction(white, beta0, index)
        statistic, eigenvalues = _likelihood_ratio(white.gram, u, k)
        if index is None and p > 1:
            b = complement(u)
            strength = jnp.linalg.eigvalsh(b.T @ white.gram @ b)[0]
        else:
            # For p = 1 this is b'Ab = tr A - u'Au; with index, the conservative bound of Kleibergen (2021).
            strength = eigenvalues[0] + eigenvalues[1] - u @ white.gram @ u
        p_value = conditional_p_value(statistic, strength, k - (p - tested), tested)
    else:
        if p > 1:
            found = f"{covariance!r} with {p} treatments"
            raise InputError("covariance", found=found, expected="'homoskedastic', or one treatment")
        form = reduced_form(system, covariance)
        ar, lm, strength = robust_statistics(form, _full_direction(beta0, p, system.y.dtype))
        statistic = quasi_likelihood_ratio(ar, lm, strength)
        p_value = conditional_p_value(statistic, strength, k)
    return TestResult(statistic, p_value, tested)


def score_statistic(gram: Float[Array, "m m"], u: Float[Array, " m"]) -> Float[Array, ""]:
    """LM statistic at the whitened unit direction ``u``."""
    b = complement(u)
    score = b.T @ gram @ u
    return score @ spd_solve(b.T @ gram @ b, score)


def robust_statistics(
    form: ReducedForm, direction: Float[Array, " m"]
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Robust AR, LM and strength of identification for the null ``w @ direction`` is free of the instruments.

    The direction is (1, -beta); any multiple gives the same values, and (0, 1) stands for beta at infinity.
    Strength is that of Kleibergen (2005) for one endogenous regressor and nan for more.
    """
    k, m = form.coefficients.shape
    # Units of y and x must not matter: scale each column by the size of its covariance.
    scale = jnp.sqrt(jnp.einsum("aiai->a", form.covariance))
    coefficients = form.coefficients / scale
    covariance = form.covariance / (scale[:, None, None, None] * scale[:, None])
    u = direction * scale
    u = u / jnp.linalg.norm(u)
    # g: coefficients of the structural residual w u on the instruments; s: their covariance.
    g = coefficients @ u
    s = jnp.einsum("a,aibj,b->ij", u, covariance, u)
    b = complement(u)
    cross = jnp.einsum("ac,aibj,b->cij", b, covariance, u)  # Cov(pi_c, g)
    # pi: first-stage coefficients less their regression on g, which makes them independent of g under the null.
    solved = spd_solve(s, g)
    pi = coefficients @ b - jnp.einsum("cij,j->ic", cross, solved)
    ar = g @ solved
    score = pi.T @ solved
    lm = score @ spd_solve(pi.T @ spd_solve(s, pi), score)
    if m > 2:
        return ar, lm, jnp.full_like(ar, jnp.nan)
    # own: covariance of pi, that of the first-stage coefficients less the part that g explains.
    own = jnp.einsum("ac,aibj,bd->cidj", b, covariance, b).reshape(k, k)
    own = own - cross[0] @ spd_solve(s, cross[0].T)
    strength = pi[:, 0] @ spd_solve(own, pi[:, 0])
    return ar, lm, strength


def quasi_likelihood_ratio(ar: Float[Array, ""], lm: Float[Array, ""], strength: Float[Array, ""]) -> Float[Array, ""]:
    """``(AR - r + sqrt((AR + r)^2 - 4 J r)) / 2`` with J = AR - LM, without cancellation for large r."""
    root = jnp.sqrt(jnp.maximum((ar - strength) ** 2 + 4 * lm * strength, 0.0))
    difference = ar - strength
    # For AR < r the sum below cancels: multiply by the conjugate, (root + d)(root - d) = 4 LM r.
    stable = 2 * lm * strength / jnp.where(difference < 0, root - difference, 1.0)
    return jnp.where(difference < 0, stable, (difference + root) / 2)


def complement(u: Float[Array, " m"]) -> Float[Array, "m p"]:
    """Orthonormal columns that span the orthogonal complement of a unit vector (Householder)."""
    m = u.shape[0]
    # The sign that avoids cancellation in v = u + sign e_1, so v'v = 2 (1 + |u_1|).
    sign = jnp.where(u[0] >= 0, 1.0, -1.0)
    v = u.at[0].add(sign)
    reflection = jnp.eye(m, dtype=u.dtype) - jnp.outer(v, v) / (1 + jnp.abs(u[0]))
    return reflection[:, 1:]


def _likelihood_ratio(
    gram: Float[Array, "m m"], u: Float[Array, " m"], k: int
) -> tuple[Float[Array, ""], Float[Array, " m"]]:
    eigenvalues = jnp.linalg.eigvalsh(gram)
    if k < gram.shape[0]:  # just identified: P has rank k and LIML fits the instruments exactly
        eigenvalues = eigenvalues.at[0].set(0.0)
    return jnp.maximum(u @ gram @ u - eigenvalues[0], 0.0), eigenvalues


def _full_direction(beta0: Value, p: int, dtype: jnp.dtype) -> Float[Array, " m"]:
    beta = jnp.broadcast_to(jnp.asarray(beta0, dtype), (p,))
    return jnp.concatenate([jnp.ones(1, dtype), -beta])


def _null_direction(white: Whitened, beta0: Value, index: int | None) -> Float[Array, " m"]:
    """Whitened unit direction of the null; with ``index``, the best-fitting one it allows."""
    m, dtype = white.gram.shape[0], white.gram.dtype
    if index is None:
        u = white.factor.T @ _full_direction(beta0, m - 1, dtype)
        return u / jnp.linalg.norm(u)
    return profiled_direction(white, jnp.zeros(m, dtype).at[0].set(1.0).at[1 + index].set(-beta0), index)


def profiled_direction(white: Whitened, direction: Float[Array, " m"], index: int) -> Float[Array, " m"]:
    """Best-fitting unit direction in the span of ``direction`` and the coefficients not under test (LIML)."""
    m = white.gram.shape[0]
    others = [1 + j for j in range(m - 1) if j != index]
    free = jnp.eye(m, dtype=white.gram.dtype)[:, others]
    basis, _ = jnp.linalg.qr(white.factor.T @ jnp.column_stack([direction, free]))
    _, vectors = jnp.linalg.eigh(basis.T @ white.gram @ basis)
    return basis @ vectors[:, 0]


def _require_joint(index: int | None, p: int) -> None:
    if index is not None and p > 1:
        found = f"{index} of {p} coefficients with a robust covariance"
        raise InputError("treatment", found=found, expected="None, or covariance='homoskedastic'")
