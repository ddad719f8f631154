"""The k-class as pure functions: OLS, 2SLS, LIML, Fuller, any kappa, anchor regression; and JIVE.

All take an outcome ``y`` (n,), endogenous treatments ``x`` (n, p), excluded instruments ``z`` (n, k) and
exogenous controls ``c`` (n, q) *including the constant* (or None), and estimate ``y = x b + c g + e``. With
``P`` the projection on the instruments and ``M = I - P``, all after partialling out ``c`` (Frisch and Waugh),

    b(kappa) = (x^T (I - kappa M) x)^{-1} x^T (I - kappa M) y.

One QR factorization of ``[c z x y]``, of which only the triangular factor is kept, yields every statistic that
any kappa needs; no projection matrix is formed. ``[c z]`` and ``[c x]`` need full column rank and
``n >= q + k + p + 1``: the estimator classes check this.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from causalrep.inference.sandwich import Covariance, leverages, meat, without_own_residual
from causalrep.precision import full_products

Scalar = Float[Array, ""]


class LinearFit(NamedTuple):
    """A fitted linear structural equation; a pytree.

    Attributes:
        coef: Coefficients of the treatments, then of the controls (p + q,).
        cov: Covariance of the coefficients (p + q, p + q).
        residuals: ``y - x b - c g`` with the original treatments (n,).
        kappa: The k-class parameter.
        dof: Residual degrees of freedom, n - p - q.
    """

    coef: Float[Array, " m"]
    cov: Float[Array, "m m"]
    residuals: Float[Array, " n"]
    kappa: Scalar
    dof: Scalar


@partial(jax.tree_util.register_dataclass, data_fields=["r"], meta_fields=["sizes"])
@dataclass(frozen=True)
class Reduced:
    """The triangular factor R of ``[c z x y] = Q R``: all that kappa and b(kappa) depend on.

    Attributes:
        r: R, of shape (q + k + p + 1, q + k + p + 1).
        sizes: ``(q, k, p)``.
    """

    r: Float[Array, "m m"]
    sizes: tuple[int, int, int]

    @property
    def first_stage(self) -> Float[Array, "q+k q+k"]:
        """R of ``[c z]``."""
        q, k, _ = self.sizes
        return self.r[: q + k, : q + k]

    @property
    def on_controls(self) -> Float[Array, "q p+1"]:
        """``Q_c^T [x y]``."""
        q, k, _ = self.sizes
        return self.r[:q, q + k :]

    @property
    def on_instruments(self) -> Float[Array, "k p+1"]:
        """``Q_z^T [x y]``, controls partialled out: ``P [x y]`` in an orthonormal basis."""
        q, k, _ = self.sizes
        return self.r[q : q + k, q + k :]

    @property
    def off_instruments(self) -> Float[Array, "p+1 p+1"]:
        """Triangular factor of ``M [x y]``."""
        q, k, _ = self.sizes
        return self.r[q + k :, q + k :]


def reduce_data(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"] | None,
    c: Float[Array, "n q"] | None,
) -> Reduced:
    """Factorize ``[c z x y]`` once; see :class:`Reduced`."""
    blocks = [block for block in (c, z, x) if block is not None]
    sizes = (0 if c is None else c.shape[1], 0 if z is None else z.shape[1], x.shape[1])
    return Reduced(jnp.linalg.qr(jnp.column_stack([*blocks, y]), mode="r"), sizes)


@full_products
def treatment_coef(reduced: Reduced, kappa: float | Scalar) -> Float[Array, " p"]:
    """``b(kappa)`` for the treatments alone."""
    return _solve(reduced, kappa)[0]


@full_products
def liml_kappa(reduced: Reduced) -> Scalar:
    """The smallest eigenvalue of ``([y x]^T M [y x])^{-1} [y x]^T [y x]``; exactly 1 when k = p.

    With triangular factors it is ``1 + sigma_min(S R^{-1})^2``, S and R the parts of ``[x y]`` on and off the
    instruments, so that the accuracy is that of a singular value.
    """
    _, k, p = reduced.sizes
    if k <= p:
        return jnp.ones((), reduced.r.dtype)
    ratio = solve_triangular(reduced.off_instruments, reduced.on_instruments.T, trans=1)
    return 1.0 + jnp.linalg.svd(ratio, compute_uv=False)[-1] ** 2


def ols(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    c: Float[Array, "n q"] | None = None,
    *,
    covariance: Covariance | str = "homoskedastic",
) -> LinearFit:
    """Ordinary least squares of ``y`` on ``[x c]`` (kappa = 0)."""
    return fit_reduced(reduce_data(y, x, None, c), 0.0, 0.0, y, x, None, c, covariance)


def two_stage_least_squares(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    covariance: Covariance | str = "homoskedastic",
) -> LinearFit:
    """Two-stage least squares (kappa = 1); needs k >= p.

    >>> import jax, jax.numpy as jnp
    >>> z, v, e = jax.random.normal(jax.random.key(0), (3, 1000, 1))
    >>> x = z + v
    >>> y = 2 * x[:, 0] + v[:, 0] + e[:, 0]
    >>> bool(abs(two_stage_least_squares(y, x, z).coef[0] - 2) < abs(ols(y, x).coef[0] - 2))
    True
    """
    return fit_reduced(reduce_data(y, x, z, c), 1.0, 1.0, y, x, z, c, covariance)


def liml(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    covariance: Covariance | str = "homoskedastic",
) -> LinearFit:
    """Limited-information maximum likelihood (Anderson and Rubin 1949). Robust scores use ``P x``."""
    reduced = reduce_data(y, x, z, c)
    return fit_reduced(reduced, liml_kappa(reduced), 1.0, y, x, z, c, covariance)


def fuller(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    a: float | Scalar = 1.0,
    covariance: Covariance | str = "homoskedastic",
) -> LinearFit:
    """Fuller's (1977) modification of LIML: ``kappa = kappa_LIML - a / (n - k - q)``.

    ``a = 1`` is nearly unbiased, ``a = 4`` nearly minimizes the mean squared error.
    """
    reduced = reduce_data(y, x, z, c)
    q, k, _ = reduced.sizes
    kappa = liml_kappa(reduced) - a / (y.shape[0] - k - q)
    return fit_reduced(reduced, kappa, 1.0, y, x, z, c, covariance)


def k_class(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    kappa: float | Scalar,
    covariance: Covariance | str = "homoskedastic",
) -> LinearFit:
    """The k-class estimator at a fixed ``kappa`` (Theil 1958).

    Robust scores are those of its estimating equation, ``(I - kappa M) x`` times the residual: ``x`` at 0,
    ``P x`` at 1. The homoskedastic covariance is the conventional ``s^2 (x^T (I - kappa M) x)^{-1}``. Both
    describe sampling around the limit of b(kappa), which is the structural coefficient only if kappa = 1, or
    x is exogenous.
    """
    return fit_reduced(reduce_data(y, x, z, c), kappa, kappa, y, x, z, c, covariance)


def anchor_regression(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    gamma: float | Scalar,
) -> LinearFit:
    """Minimize ``||M (y - x b)||^2 + gamma ||P (y - x b)||^2`` (Rothenhäusler et al. 2021).

    It is the k-class at ``kappa = 1 - 1/gamma`` for gamma > 0, and equals IV-like regression at
    ``alpha = 1 / (gamma - 1)`` for gamma > 1. It does not need ``k >= p``. Its covariance is NaN: the penalized
    target is biased for the structural coefficient by an amount the data do not reveal, so no interval is
    valid.
    """
    return fit_reduced(reduce_data(y, x, z, c), 1.0 - 1.0 / gamma, 0.0, y, x, z, c, None)


@full_products
def jive(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    covariance: Covariance | str = "homoskedastic",
) -> LinearFit:
    """Jackknife instrumental variables, JIVE1 of Angrist, Imbens and Krueger (1999).

    The instrument for row i is its first-stage fit from the other rows, ``((P x)_i - P_ii x_i) / (1 -
    P_ii)``, with P the projection on ``[c z]``; then just-identified IV. Rows with ``P_ii = 1`` have no such
    fit.
    """
    w = z if c is None else jnp.column_stack([c, z])
    q = jnp.linalg.qr(w)[0]
    h = leverages(w)[:, None]  # P_ii
    leave_one_out = (q @ (q.T @ x) - h * x) / (1.0 - h)
    return two_stage_least_squares(y, x, leave_one_out, c, covariance=covariance)


def _solve(reduced: Reduced, kappa: float | Scalar):
    """``b``, and H and K with ``x^T (I - kappa M) x = H^{-T} K H^{-1}``; K is None, for I, if kappa <= 1.

    For kappa <= 1 the normal equations are those of least squares on stacked rows, solved by QR; a kappa
    above 1 subtracts a positive semidefinite part, which K carries in coordinates where the rest is the
    identity.
    """
    p = reduced.sizes[2]
    on, off = reduced.on_instruments, reduced.off_instruments
    identity = jnp.eye(p, dtype=on.dtype)
    at_most_one = isinstance(kappa, float) and kappa <= 1.0
    if isinstance(kappa, float) and kappa == 1.0:
        stacked = on
    else:
        # sqrt(max(1 - kappa, 0)) with a finite derivative at 0.
        root = jnp.where(kappa < 1.0, jnp.sqrt(jnp.where(kappa < 1.0, 1.0 - kappa, 1.0)), 0.0)
        stacked = jnp.concatenate([on, root.astype(on.dtype) * off])
    basis, triangle = jnp.linalg.qr(stacked[:, :p])
    rhs = basis.T @ stacked[:, p]
    h = solve_triangular(triangle, identity)
    if at_most_one:
        return h @ rhs, h, None
    # H' x^T (I - kappa M) x H = I - (kappa - 1) (S H)' (S H), S the part of x off the instruments.
    above = jnp.maximum(kappa - 1.0, 0.0)
    excess = off[:, :p] @ h
    inner = identity - above * (excess.T @ excess)
    return h @ jnp.linalg.solve(inner, rhs - above * (excess.T @ off[:, p])), h, inner


@full_products
def fit_reduced(reduced, kappa, score_weight, y, x, z, c, covariance) -> LinearFit:
    """Coefficients, residuals and sandwich, in coordinates where the bread is near the identity.

    With ``C = Q_c R_c``, ``[x c] = [x~ Q_c] T`` and ``T = [[I, 0], [Q_c^T x, R_c]]``; the bread of
    ``[x~ Q_c]`` is block diagonal.

    Args:
        reduced: :func:`reduce_data` of the same arrays.
        kappa: The k-class parameter.
        score_weight: w in the score rows ``w P x + (1 - w) x`` of robust covariances.
        y: Outcome.
        x: Treatments.
        z: Instruments.
        c: Controls.
        covariance: Which covariance; None if no interval is valid, for a covariance of NaN.
    """
    q, _, p = reduced.sizes
    n, dtype = y.shape[0], y.dtype
    b, h, inner = _solve(reduced, kappa)
    residuals = y - x @ b
    coef = b
    if q:
        r_c, on_c = reduced.first_stage[:q, :q], reduced.on_controls
        controls = solve_triangular(r_c, on_c[:, p] - on_c[:, :p] @ b)
        coef, residuals = jnp.concatenate([b, controls]), residuals - c @ controls
    dof = jnp.asarray(n - p - q, dtype)
    kappa = jnp.asarray(kappa, dtype)
    if covariance is None:
        return LinearFit(coef, jnp.full((p + q, p + q), jnp.nan, dtype), residuals, kappa, dof)

    covariance = Covariance.of(covariance)
    # Back-transform of the coefficients of [x~ h, Q_c] to those of [x, c]: T^{-1} diag(h, I).
    back = h
    if q:
        lower = -solve_triangular(r_c, on_c[:, :p] @ h)
        right = solve_triangular(r_c, jnp.eye(q, dtype=dtype))
        back = jnp.block([[h, jnp.zeros((p, q), dtype)], [lower, right]])
    if covariance.kind == "homoskedastic":
        s2 = jnp.sum(residuals**2) / (n - p - q if covariance.debiased else n)
        middle = jnp.eye(p + q, dtype=dtype)
        if inner is not None:
            middle = middle.at[:p, :p].set(jnp.linalg.solve(inner, jnp.eye(p, dtype=dtype)))
        return LinearFit(coef, s2 * (back @ middle @ back.T), residuals, kappa, dof)

    xhat = _score_rows(reduced, h, score_weight, x, z, c)
    series = None
    if covariance.kind == "HAC" and covariance.bandwidth is None:
        series = _lag_series(xhat, back, residuals)
    middle, weights = meat(xhat, residuals, covariance, lag_series=series), xhat
    if inner is not None:  # otherwise the bread is the identity: no solve, which would cost as much as all the rest
        bread = jnp.eye(p + q, dtype=dtype).at[:p, :p].set(inner)
        middle, weights = jnp.linalg.solve(bread, jnp.linalg.solve(bread, middle).T), jnp.linalg.solve(bread, xhat.T).T
    cov = without_own_residual(back @ middle @ back.T, weights @ back.T, xhat, covariance)
    return LinearFit(coef, cov, residuals, kappa, dof)


def _score_rows(reduced, h, weight, x, z, c) -> Float[Array, "n m"]:
    """Rows ``[(w P x~ + (1 - w) x~) h, Q_c]`` from the triangular factor, without forming Q."""
    q, k, p = reduced.sizes
    dtype = h.dtype
    exogenous = [block for block in (c, z) if block is not None]
    always_projected = isinstance(weight, float) and weight == 1.0
    scale = 1.0 if always_projected else weight
    rows = jnp.zeros((x.shape[0], p + q), dtype)
    if exogenous:
        basis_coordinates = jnp.zeros((q + k, p + q), dtype)
        basis_coordinates = basis_coordinates.at[q:, :p].set(scale * (reduced.on_instruments[:, :p] @ h))
        basis_coordinates = basis_coordinates.at[:q, p:].set(jnp.eye(q, dtype=dtype))
        rows = jnp.column_stack(exogenous) @ solve_triangular(reduced.first_stage, basis_coordinates)
    if not always_projected:
        partialled = x @ h
        if q:
            r_c = reduced.first_stage[:q, :q]
            partialled = partialled - c @ solve_triangular(r_c, reduced.on_controls[:, :p] @ h)
        rows = rows.at[:, :p].add((1.0 - scale) * partialled)
    return rows


def _lag_series(xhat, back, residuals) -> Float[Array, " n"]:
    """Sum of the scores in the original coordinates without constant columns: the bandwidth series."""
    original = jnp.linalg.solve(back.T, xhat.T).T
    spread = jnp.max(original, axis=0) - jnp.min(original, axis=0)
    tolerance = 1e3 * jnp.finfo(xhat.dtype).eps * jnp.max(jnp.abs(original), axis=0)
    varying = (spread > tolerance).astype(xhat.dtype)
    return (original @ varying) * residuals
