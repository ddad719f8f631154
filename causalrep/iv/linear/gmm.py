"""Generalized method of moments with instruments: two-step, iterated, continuously updating.

The moments are ``g(b) = W^T (y - X b) / n`` with ``X = [x c]`` and ``W = [c z]``. The instruments enter in
orthonormal form, which changes no estimate and keeps every weighting matrix well conditioned; the regressors
in coordinates where the first-step problem is orthonormal.
"""

import warnings
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float, Int
from scipy import stats

from causalrep.base.domains import Choice, Domain, Flag
from causalrep.errors import CausalrepWarning, InputError
from causalrep.inference.sandwich import MOMENT_KINDS, Covariance, meat
from causalrep.iv.design import Design
from causalrep.iv.linear.base import LinearIVEstimator, refuse_exact_rows

STEPS = ("two-step", "iterated", "cue")


class GMMFit(NamedTuple):
    """A GMM fit; a pytree.

    Attributes:
        coef: Coefficients of the treatments, then of the controls (p + q,).
        cov: Covariance of the coefficients (p + q, p + q).
        residuals: ``y - x b - c g`` (n,).
        dof: n - p - q.
        j_statistic: Hansen's J at the weight that gave ``coef``; chi-squared with ``j_dof`` if the moments
            hold.
        j_dof: k - p.
        iterations: Weighting steps (two-step, iterated) or Newton steps (CUE).
        converged: Whether the iterations met the tolerance.
    """

    coef: Float[Array, " m"]
    cov: Float[Array, "m m"]
    residuals: Float[Array, " n"]
    dof: Float[Array, ""]
    j_statistic: Float[Array, ""]
    j_dof: Float[Array, ""]
    iterations: Int[Array, ""]
    converged: Bool[Array, ""]


class _Moments(NamedTuple):
    """Orthonormal instruments U, whitened regressors ``Xw = X R^{-1}`` with ``U^T Xw`` orthonormal, and R."""

    u: Float[Array, "n r"]
    uy: Float[Array, " r"]
    xw: Float[Array, "n m"]
    ux: Float[Array, "r m"]
    root: Float[Array, "m m"]
    y: Float[Array, " n"]

    def residuals(self, theta):
        return self.y - self.xw @ theta

    def gradient_free_step(self, chol):
        """``argmin_theta || L^{-1} (U^T y - U^T X theta) ||`` by QR."""
        q, r = jnp.linalg.qr(solve_triangular(chol, self.ux, lower=True))
        return solve_triangular(r, q.T @ solve_triangular(chol, self.uy, lower=True))


def gmm(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    steps: str = "two-step",
    covariance: Covariance | str = "HC0",
    max_iterations: int = 200,
    tolerance: float = 1e-12,
) -> GMMFit:
    """Efficient GMM (Hansen 1982; CUE: Hansen, Heaton and Yaron 1996).

    Args:
        y: Outcome.
        x: Treatments.
        z: Excluded instruments, k >= p.
        c: Controls with the constant, or None.
        steps: ``"two-step"`` weights by the moments' covariance S at the 2SLS residuals, ``"iterated"``
            repeats until the coefficients stop, ``"cue"`` minimizes J with S a function of the coefficients.
        covariance: Kind of S: ``"homoskedastic"`` (then two-step is 2SLS and CUE is LIML), ``"HC0"``
            (robust), ``"HC1"`` (the same estimate, standard errors times ``(n/(n-m))^{1/2}``) or
            ``"cluster"``. S is not centered.
        max_iterations: Largest number of iterations for ``"iterated"`` and ``"cue"``.
        tolerance: Relative size of the last step, in units where the first-step problem is orthonormal.

    Returns:
        A :class:`GMMFit`. The covariance is a sandwich with S re-evaluated at the final residuals of the full
        system. Cluster weights need more groups than moments, else S is singular and the result NaN.
    """
    covariance = Covariance.of(covariance)
    moments = _moments(y, x, z, c)
    n, m = moments.xw.shape
    r = moments.u.shape[1]
    theta = moments.ux.T @ moments.uy  # 2SLS: the first-step problem is orthonormal in these coordinates

    def weight(theta):
        return jnp.linalg.cholesky(_moment_covariance(moments, theta, covariance))

    chol = weight(theta)
    theta = moments.gradient_free_step(chol)
    iterations, converged = jnp.asarray(1), jnp.asarray(True)
    if steps == "iterated":
        theta, chol, iterations, converged = _iterate(moments, theta, weight, max_iterations, tolerance)
    elif steps == "cue":
        theta, iterations, converged = _continuously_update(moments, theta, weight, max_iterations, tolerance)
        chol = weight(theta)
    elif steps != "two-step":
        raise ValueError(f"unknown steps {steps!r}; expected one of {STEPS}")

    residuals = moments.residuals(theta)
    j_statistic = jnp.sum(solve_triangular(chol, moments.u.T @ residuals, lower=True) ** 2)
    cov = _covariance(moments, theta, chol, covariance)
    inverse_root = solve_triangular(moments.root, jnp.eye(m, dtype=y.dtype))
    return GMMFit(
        coef=inverse_root @ theta,
        cov=inverse_root @ cov @ inverse_root.T,
        residuals=residuals,
        dof=jnp.asarray(n - m, y.dtype),
        j_statistic=j_statistic,
        j_dof=jnp.asarray(r - m, y.dtype),
        iterations=iterations,
        converged=converged,
    )


def _moments(y, x, z, c) -> _Moments:
    w = z if c is None else jnp.column_stack([c, z])
    full = x if c is None else jnp.column_stack([x, c])
    u = jnp.linalg.qr(w)[0]
    basis, root = jnp.linalg.qr(u.T @ full)
    xw = solve_triangular(root, full.T, trans=1).T
    return _Moments(u=u, uy=u.T @ y, xw=xw, ux=basis, root=root, y=y)


def _moment_covariance(moments: _Moments, theta, covariance: Covariance):
    """S: the covariance of ``U^T e``, without small-sample factors."""
    return meat(moments.u, moments.residuals(theta), covariance.uncorrected())


def _covariance(moments: _Moments, theta, chol, covariance: Covariance):
    n, m = moments.xw.shape
    q, triangle = jnp.linalg.qr(solve_triangular(chol, moments.ux, lower=True))
    # (D^T W D)^{-1} D^T W = R^{-1} Q^T L^{-1} with W = (L L^T)^{-1} and L^{-1} D = Q R.
    influence = solve_triangular(triangle, solve_triangular(chol, q, lower=True, trans=1).T)
    cov = influence @ _moment_covariance(moments, theta, covariance) @ influence.T
    return cov * covariance.factor(n, n - m, cov.dtype)


def _iterate(moments, theta, weight, max_iterations, tolerance):
    def unfinished(state):
        _, _, count, change = state
        return (count < max_iterations) & (change > tolerance)

    def step(state):
        theta, _, count, _ = state
        chol = weight(theta)
        new = moments.gradient_free_step(chol)
        change = jnp.linalg.norm(new - theta) / jnp.linalg.norm(new)
        return new, chol, count + 1, change

    start = (theta, weight(theta), jnp.asarray(1), jnp.asarray(jnp.inf, theta.dtype))
    theta, chol, count, change = jax.lax.while_loop(unfinished, step, start)
    return theta, chol, count, change <= tolerance


def _continuously_update(moments, theta, weight, max_iterations, tolerance):
    """Newton's method on J(theta) with eigenvalues of the Hessian made positive and a halving line search."""

    def objective(theta):
        g = moments.u.T @ moments.residuals(theta)
        return jnp.sum(solve_triangular(weight(theta), g, lower=True) ** 2)

    value_and_grad, hessian = jax.value_and_grad(objective), jax.hessian(objective)

    def unfinished(state):
        _, count, size = state
        return (count < max_iterations) & (size > tolerance)

    def step(state):
        theta, count, _ = state
        value, gradient = value_and_grad(theta)
        eigenvalues, vectors = jnp.linalg.eigh(hessian(theta))
        floor = 1e-8 * jnp.max(jnp.abs(eigenvalues))
        direction = -vectors @ ((vectors.T @ gradient) / jnp.maximum(jnp.abs(eigenvalues), floor))
        slope = gradient @ direction  # negative: the direction descends, whatever the signs of the eigenvalues

        def too_long(line):
            length, trial = line
            return ~(trial <= value + 1e-4 * length * slope) & (length > 1e-10)

        def halve(line):
            length = line[0] / 2
            return length, objective(theta + length * direction)

        length, trial = jax.lax.while_loop(too_long, halve, (jnp.ones_like(value), objective(theta + direction)))
        # At the rounding floor of J the line search fails, but the Newton step itself is still the best
        # correction.
        at_floor = jnp.abs(slope) <= 1e-10 * (1.0 + jnp.abs(value))
        move = jnp.where(at_floor, direction, jnp.where(trial <= value, length, 0.0) * direction)
        size = jnp.linalg.norm(move) / jnp.linalg.norm(theta)
        return theta + move, count + 1, size

    start = (theta, jnp.asarray(0), jnp.asarray(jnp.inf, theta.dtype))
    theta, count, size = jax.lax.while_loop(unfinished, step, start)
    return theta, count, size <= tolerance


_gmm = jax.jit(gmm, static_argnames="steps")


class GMM(LinearIVEstimator):
    """Efficient generalized method of moments.

    Args:
        weighting: ``"two-step"``, ``"iterated"`` or ``"cue"`` (continuously updating).
        covariance: Covariance of the moments, for the weights and the standard errors: ``"HC0"`` (robust), ``"HC1"``,
            ``"homoskedastic"`` or ``"cluster"``.
        fit_intercept: Whether to add a constant.
        debiased: Whether to apply small-sample factors and use Student t; off by default, as GMM is a large-sample
            method.

    Attributes:
        j_statistic_: Hansen's J.
        j_dof_: Degrees of freedom of J: the number of instruments less that of treatments.
        j_pvalue_: p-value of J; NaN when just identified.
    """

    _kinds = MOMENT_KINDS
    _domains: ClassVar[dict[str, Domain]] = {
        "weighting": Choice(*STEPS),
        "covariance": Choice(*MOMENT_KINDS),
        "fit_intercept": Flag(),
        "debiased": Flag(),
    }

    def __init__(self, weighting="two-step", *, covariance="HC0", fit_intercept=True, debiased=False):
        super().__init__(covariance=covariance, fit_intercept=fit_intercept, debiased=debiased)
        self.weighting = weighting

    @property
    def _title(self) -> str:
        return f"Generalized method of moments ({self.weighting})"

    def _estimate(self, y, x, z, c, covariance: Covariance) -> GMMFit:
        moments = z.shape[1] + (0 if c is None else c.shape[1])
        if covariance.kind == "cluster" and covariance.n_clusters <= moments:
            raise InputError(
                "clusters",
                found=f"{covariance.n_clusters} groups for {moments} moments",
                expected="more groups than instruments and controls together, to weight by groups",
            )
        refuse_exact_rows(z, c, "moments that vary over several rows (drop these, or the dummies that stand for them)")
        return _gmm(y, x, z, c, steps=self.weighting, covariance=covariance)

    def _store(self, design: Design, fit: Any) -> None:
        super()._store(design, fit)
        self.j_statistic_, self.j_dof_ = float(fit.j_statistic), int(fit.j_dof)
        self.j_pvalue_ = float(stats.chi2.sf(self.j_statistic_, self.j_dof_)) if self.j_dof_ else float("nan")
        if not fit.converged:
            warnings.warn(f"GMM ({self.weighting}) did not converge", CausalrepWarning, stacklevel=3)

    def _summary_facts(self) -> list[tuple[str, str]]:
        facts = super()._summary_facts()
        if self.j_dof_:
            facts.append(("Hansen J", f"{self.j_statistic_:.4f}, df {self.j_dof_}, p = {self.j_pvalue_:.4f}"))
        return facts
