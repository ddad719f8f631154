"""Coefficients of determination: how much of each latent, or block of latents, the codes predict."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.linalg import eigh, min_norm_solve
from causalrep.metrics.correlation import halves

Regressor = Literal["linear", "kernel"]
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


class DiagSep(NamedTuple):
    """How well blocks of codes predict their own and other blocks of latents (Lippe et al. 2022).

    Attributes:
        diag: Mean R^2 of a block of latents given its own codes; 1 is best.
        sep: Mean over blocks of the largest R^2 given the codes of another block; 0 is best.
    """

    diag: Float[Array, ""]
    sep: Float[Array, ""]


def r2(z: Float[Array, "n d"], z_hat: Float[Array, "n k"], regressor: Regressor = "linear") -> Float[Array, " d"]:
    """R^2 of each latent predicted from all codes; fitted on even rows, scored on odd ones.

    It tests recovery up to an affine map (linear) or up to an invertible map (kernel). It is negative if the prediction
    is worse than the mean.

    Args:
        z: True latents.
        z_hat: Codes.
        regressor: ``"linear"`` is least squares; ``"kernel"`` is ridge regression with a Gaussian kernel as wide as
            the median distance, its penalty chosen by leave-one-out errors, at a cost of (n/2)^3.
    """
    (z_fit, codes_fit), (z_score, codes_score) = halves(z, z_hat)
    mean, scale = jnp.mean(codes_fit, axis=0), jnp.std(codes_fit, axis=0)
    scale = jnp.where(scale > 0, scale, 1.0)
    codes_fit, codes_score = (codes_fit - mean) / scale, (codes_score - mean) / scale
    center = jnp.mean(z_fit, axis=0)
    predict = _kernel_ridge if regressor == "kernel" else _least_squares
    predicted = center + predict(codes_fit, z_fit - center, codes_score)
    spread = jnp.sum((z_score - jnp.mean(z_score, axis=0)) ** 2, axis=0)
    return 1.0 - jnp.sum((z_score - predicted) ** 2, axis=0) / jnp.where(spread > 0, spread, 1.0)


def block_r2(
    z: Float[Array, "n d"],
    z_hat: Float[Array, "n k"],
    z_blocks: Sequence[Sequence[int]],
    code_blocks: Sequence[Sequence[int]],
    regressor: Regressor = "linear",
) -> Float[Array, "a b"]:
    """Mean R^2 of every block of latents given every block of codes.

    Args:
        z: True latents.
        z_hat: Codes.
        z_blocks: Columns of each block of latents.
        code_blocks: Columns of each block of codes.
        regressor: See :func:`r2`.

    Returns:
        A matrix whose entry (a, b) is that of the latents of block a given the codes of block b.
    """
    rows = [
        [jnp.mean(r2(z[:, jnp.array(own)], z_hat[:, jnp.array(codes)], regressor)) for codes in code_blocks]
        for own in z_blocks
    ]
    return jnp.array(rows)


def diag_sep(matrix: Float[Array, "b b"]) -> DiagSep:
    """Mean of the diagonal, and mean over rows of the largest other entry, of a square :func:`block_r2` matrix."""
    foreign = jnp.where(jnp.eye(len(matrix), dtype=bool), -jnp.inf, matrix)
    return DiagSep(jnp.mean(jnp.diagonal(matrix)), jnp.mean(jnp.max(foreign, axis=1)))


def _least_squares(x: Float[Array, "n k"], y: Float[Array, "n d"], new: Float[Array, "m k"]) -> Float[Array, "m d"]:
    return new @ min_norm_solve(x, y)


def _kernel_ridge(x: Float[Array, "n k"], y: Float[Array, "n d"], new: Float[Array, "m k"]) -> Float[Array, "m d"]:
    """Gaussian-kernel ridge regression; each column of y takes the penalty of least leave-one-out error."""
    distances = _squared_distances(x, x)
    # The median over pairs of different rows: the zeros of the diagonal are left out.
    width = jnp.median(distances[jnp.triu_indices(len(x), 1)])
    values, vectors = eigh(jnp.exp(-distances / width))
    values = jnp.maximum(values, 0.0)
    rotated = vectors.T @ y

    def leave_one_out(penalty: Array) -> tuple[Array, Array]:
        shrunk = vectors * (1.0 / (values + penalty))
        dual = shrunk @ rotated
        # The left-out residual is dual_i / (K + penalty I)^-1_ii.
        leverage = jnp.sum(shrunk * vectors, axis=1)
        return dual, jnp.mean((dual / leverage[:, None]) ** 2, axis=0)

    duals, errors = jax.lax.map(leave_one_out, jnp.asarray(PENALTIES, x.dtype))
    dual = jnp.take_along_axis(duals, jnp.argmin(errors, axis=0)[None, None, :], axis=0)[0]
    return jnp.exp(-_squared_distances(new, x) / width) @ dual


def _squared_distances(a: Float[Array, "n k"], b: Float[Array, "m k"]) -> Float[Array, "n m"]:
    # Not linalg.squared_distances, whose sums have another order: at the smallest penalty kernel ridge regression in
    # float32 amplifies their rounding to a percent of an R^2 near 0.
    products = -2.0 * a @ b.T + jnp.sum(a**2, axis=1)[:, None] + jnp.sum(b**2, axis=1)
    return jnp.maximum(products, 0.0)
