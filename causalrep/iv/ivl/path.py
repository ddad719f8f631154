"""IV-like (IVL) regression: closed forms for every strength of the penalty from one decomposition.

The risk is ``R_IV(h) + alpha R_ERM(h)`` with ``R_IV(h) = ||P (y - X h)||^2 / n``, P the projection on the instrument
(or the parameters G of an outcome-invariant data augmentation). Its minimizer solves ``M h = r`` with
``M = alpha X^T X + X^T P X`` and ``r = alpha X^T y + X^T P y``.

Write ``X = U D V^T`` and let ``Q`` be an orthonormal basis of the instruments. Then ``W = Q^T U`` holds the cosines
between the two column spaces, and in the right singular basis of W the system is diagonal with entries
``alpha + s_j^2``. The whole path over alpha, empirical risk minimization (alpha to infinity) and the constrained limit
(alpha to 0) come from that one decomposition. M is never formed, so its condition number is not squared.

Source: Akbar, Kilbertus, Shen, Muandet, Dai, "An Analysis of Causal Effect Estimation using Outcome Invariant Data
Augmentation", NeurIPS 2025 (arXiv 2510.25128), sections 3-4 and Proposition 1. The decomposition is ours.
"""

from typing import NamedTuple

import chex
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.linalg import from_unit_columns, min_norm_solve, orthonormal_basis, rank_tolerance, svd, unit_columns
from causalrep.precision import full_products


class IVLPath(NamedTuple):
    """The family of IVL estimates over alpha, ready to be evaluated anywhere on the path.

    Attributes:
        loadings: L (m, m); an estimate is ``L c`` for coordinates c in the canonical basis.
        strength: Squared canonical correlations s^2 of X with the instruments, in [0, 1] (m,). Zero marks a direction
            of X that the instruments do not move.
        outcome: Coordinates of the outcome in the column space of X, ``V^T U^T y`` (m,).
        projected: Coordinates of its projection on the instruments, ``V^T W^T Q^T y`` (m,).
        first_stage: ``Q^T X`` (k, m).
        reduced_form: ``Q^T y`` (k,).
    """

    loadings: Float[Array, "m m"]
    strength: Float[Array, " m"]
    outcome: Float[Array, " m"]
    projected: Float[Array, " m"]
    first_stage: Float[Array, "k m"]
    reduced_form: Float[Array, " k"]


@full_products
def ivl_path(
    y: Float[Array, " n"],
    x: Float[Array, "n m"],
    z: Float[Array, "n k"],
    *,
    weights: Float[Array, " n"] | None = None,
) -> IVLPath:
    """Decompose a sample once for all values of alpha.

    Args:
        y: Outcome (n,).
        x: Treatment (n, m); under data augmentation, the augmented GX.
        z: Instruments (n, k); under data augmentation, its parameters G. Any rank.
        weights: Row weights (n,); a zero leaves the row out while shapes stay static.

    Returns:
        The path. No intercept is fitted: center the columns first if one is wanted. The basis of the path is not unique
        where values of ``strength`` repeat, so it has no derivative; differentiate
        ``k_class(..., kappa=1 / (1 + alpha))`` instead.
    """
    chex.assert_rank([y, x, z], [1, 2, 2])
    chex.assert_equal_shape_prefix([y, x, z], 1)
    if weights is not None:
        root = jnp.sqrt(weights)
        y, x, z = y * root, x * root[:, None], z * root[:, None]
    # One triangular factor of [z x y] holds every inner product; no n-row orthonormal factor is formed.
    k, m = z.shape[1], x.shape[1]
    r = jnp.linalg.qr(jnp.column_stack([z, x, y]), mode="r")
    z_r, x_r, y_r = r[:, :k], r[:, k : k + m], r[:, -1]
    basis = orthonormal_basis(z_r[:k])  # the rows below the first k are zero
    scaled, lengths = unit_columns(x_r)
    u, d, vt = svd(scaled)
    keep = d > rank_tolerance(x.dtype) * jnp.max(d)
    u = u * keep
    inverse = jnp.where(keep, 1.0 / jnp.where(keep, d, 1.0), 0.0)
    cosines = basis.T @ u[:k]
    reduced_form = basis.T @ y_r[:k]
    factor = jnp.linalg.qr(cosines, mode="r") if cosines.shape[0] > cosines.shape[1] else cosines
    _, s, wt = jnp.linalg.svd(factor, full_matrices=True)
    s = jnp.concatenate([s, jnp.zeros(wt.shape[0] - s.shape[0], s.dtype)])
    # Cosines are at most 1; one that is rounding error is a direction that the instruments do not move.
    s = jnp.where(s > rank_tolerance(x.dtype), jnp.minimum(s, 1.0), 0.0)
    return IVLPath(
        loadings=from_unit_columns(vt, keep.astype(x.dtype), lengths, inverse[:, None] * wt.T),
        strength=jnp.square(s),
        outcome=wt @ (u.T @ y_r),
        projected=wt @ (cosines.T @ reduced_form),
        first_stage=basis.T @ x_r[:k],
        reduced_form=reduced_form,
    )


@full_products
def ivl(path: IVLPath, alpha: Float[Array, "*a"] | float) -> Float[Array, "*a m"]:
    """The IVL_alpha estimate, minimum-norm where X lacks rank.

    Exact in finite samples, it equals anchor regression at ``gamma = 1 + 1/alpha`` and to the k-class
    estimator at ``kappa = 1/(1 + alpha)``.

    Args:
        path: From :func:`ivl_path`.
        alpha: Weight of the empirical risk, above 0; a scalar or an array.

    Returns:
        Estimates, (m,) for a scalar alpha, else (..., m).
    """
    alpha = jnp.asarray(alpha, path.strength.dtype)[..., None]
    coordinates = (alpha * path.outcome + path.projected) / (alpha + path.strength)
    return coordinates @ path.loadings.T


@full_products
def erm(path: IVLPath) -> Float[Array, " m"]:
    """Least squares of y on X, the limit alpha to infinity: ERM on X, or DA+ERM on GX. Minimum-norm."""
    return path.loadings @ path.outcome


@full_products
def constrained_ivl(path: IVLPath) -> Float[Array, " m"]:
    """The limit alpha to 0: least squares subject to the two-stage least-squares normal equations.

    In directions of X that the instruments move it is the two-stage estimate, in the others least squares.
    """
    moved = path.strength > 0
    coordinates = jnp.where(moved, path.projected / jnp.where(moved, path.strength, 1.0), path.outcome)
    return path.loadings @ coordinates


@full_products
def min_norm_iv(path: IVLPath) -> Float[Array, " m"]:
    """Two-stage least squares ``(P X)^+ y``, of minimum norm when under-identified."""
    return min_norm_solve(path.first_stage, path.reduced_form)


@full_products
def projected_ivl(path: IVLPath) -> Float[Array, " m"]:
    """IVL_Pi: the two-stage least-squares solution closest to ERM in Euclidean norm."""
    start = erm(path)
    return start + min_norm_solve(path.first_stage, path.reduced_form - path.first_stage @ start)


@full_products
def transformed_regression(
    y: Float[Array, " n"], x: Float[Array, "n m"], z: Float[Array, "n k"], alpha: Float[Array, ""] | float
) -> tuple[Float[Array, " n"], Float[Array, "n m"]]:
    """Data ``(y', X')`` whose ordinary least squares is IVL_alpha (Proposition 1).

    ``X' = a X + b P X`` and ``y' = a y + b P y`` with ``a = sqrt(alpha)``, ``b = sqrt(1 + alpha) - sqrt(alpha)``. On
    these data any least-squares learner is an IVL learner.
    """
    basis = orthonormal_basis(z)
    a, b = jnp.sqrt(alpha), jnp.sqrt(1.0 + alpha) - jnp.sqrt(alpha)
    return a * y + b * basis @ (basis.T @ y), a * x + b * basis @ (basis.T @ x)
