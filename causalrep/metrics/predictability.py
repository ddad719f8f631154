"""Coefficients of determination: how much of each latent, or block of latents, the codes predict.

Codes and latents are standardized, so units do not matter. As for the MCC, even rows fit and odd rows score.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.base.checks import as_numbers, as_rows
from causalrep.base.validation import check_choice
from causalrep.errors import InputError
from causalrep.linalg import eigh, standardizer
from causalrep.metrics.correlation import FEWEST_ROWS, affine_slope, halves
from causalrep.precision import full_products, keep_float64

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


@keep_float64
@full_products
def r2(z: Float[Array, "n d"], z_hat: Float[Array, "n k"], regressor: Regressor = "linear") -> Float[Array, " d"]:
    """R^2 of each latent predicted from all codes; fitted on even rows, scored on odd ones.

    It tests recovery up to an affine map (linear) or up to an invertible map (kernel). It is negative if the prediction
    is worse than the mean, and 0 for a latent that is constant up to rounding.

    Args:
        z: True latents, at least four rows.
        z_hat: Codes.
        regressor: ``"linear"`` is least squares; ``"kernel"`` is ridge regression with a Gaussian kernel as wide as
            the median distance, its penalty chosen by leave-one-out errors, at a cost of (n/2)^3.

    Raises:
        InputError: If numbers of rows differ, values are not finite, or ``regressor`` is unknown.

    >>> z = jax.random.normal(jax.random.key(0), (100, 2))
    >>> r2(z, z @ jnp.array([[1.0, 2e-3], [1.0, 1e-3]])).round(3).tolist()
    [1.0, 1.0]
    """
    z, z_hat = _checked(z, z_hat, regressor)
    return _r2(z, z_hat, regressor)


def _checked(z: Any, z_hat: Any, regressor: Regressor) -> list[Array]:
    check_choice("regressor", regressor, get_args(Regressor))
    return as_rows(2, 2, least=FEWEST_ROWS, z=z, z_hat=z_hat)


@partial(jax.jit, static_argnames="regressor")
def _r2(z: Float[Array, "n d"], z_hat: Float[Array, "n k"], regressor: Regressor) -> Float[Array, " d"]:
    (z_fit, codes_fit), (z_score, codes_score) = halves(z, z_hat)
    of_z, of_codes = standardizer(z_fit), standardizer(codes_fit)
    predict = _kernel_ridge if regressor == "kernel" else _least_squares
    return held_out_r2(of_z(z_score), predict(of_codes(codes_fit), of_z(z_fit), of_codes(codes_score)))


def held_out_r2(truth: Float[Array, "n d"], predicted: Float[Array, "n d"]) -> Float[Array, " d"]:
    """R^2 of predictions of columns standardized by other rows; 0 for those that do not vary."""
    spread = jnp.mean((truth - jnp.mean(truth, axis=0)) ** 2, axis=0)
    varying = spread > (100 * float(jnp.finfo(truth.dtype).eps)) ** 2
    return jnp.where(varying, 1.0 - jnp.mean((truth - predicted) ** 2, axis=0) / jnp.where(varying, spread, 1.0), 0.0)


@keep_float64
@full_products
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

    Raises:
        InputError: As for :func:`r2`; or if a block is empty or names a column that does not exist.

    >>> z = jax.random.normal(jax.random.key(0), (100, 2))
    >>> jnp.diagonal(block_r2(z, 2.0 * z, [[0], [1]], [[0], [1]])).round(3).tolist()
    [1.0, 1.0]
    """
    z, z_hat = _checked(z, z_hat, regressor)
    owns, codes = _columns("z_blocks", z, z_blocks), _columns("code_blocks", z_hat, code_blocks)
    return jnp.array([[jnp.mean(_r2(own, code, regressor)) for code in codes] for own in owns])


def _columns(argument: str, x: Float[Array, "n d"], blocks: Sequence[Sequence[int]]) -> list[Array]:
    chosen = [np.asarray(block) for block in blocks]
    for block in chosen:
        # JAX would replace a column that does not exist by the last one.
        whole = block.ndim == 1 and block.size > 0 and np.issubdtype(block.dtype, np.integer)
        if not whole or block.min() < 0 or block.max() >= x.shape[1]:
            expected = f"one or more columns, numbered 0 to {x.shape[1] - 1}"
            raise InputError(argument, found=f"the block {block.tolist()}", expected=expected)
    if not chosen:
        raise InputError(argument, found="no blocks", expected="at least one")
    return [x[:, block] for block in chosen]


@keep_float64
def diag_sep(matrix: Float[Array, "b b"]) -> DiagSep:
    """Mean of the diagonal, and mean over rows of the largest other entry, of a square :func:`block_r2` matrix.

    Raises:
        InputError: If the matrix is not square or has a single block.

    >>> [float(score) for score in diag_sep(jnp.array([[0.75, 0.25], [0.0, 1.0]]))]
    [0.875, 0.125]
    """
    matrix = as_numbers("matrix", matrix, ndim=2)
    if matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise InputError("matrix", found=f"shape {matrix.shape}", expected="a square matrix of at least two blocks")
    foreign = jnp.where(jnp.eye(len(matrix), dtype=bool), -jnp.inf, matrix)
    return DiagSep(jnp.mean(jnp.diagonal(matrix)), jnp.mean(jnp.max(foreign, axis=1)))


def _least_squares(x: Float[Array, "n k"], y: Float[Array, "n d"], new: Float[Array, "m k"]) -> Float[Array, "m d"]:
    return new @ affine_slope(x, y)


def _kernel_ridge(x: Float[Array, "n k"], y: Float[Array, "n d"], new: Float[Array, "m k"]) -> Float[Array, "m d"]:
    """Gaussian-kernel ridge regression; each column of y takes the penalty of least leave-one-out error."""
    distances = _squared_distances(x, x)
    # The median over pairs of different rows: the zeros of the diagonal are left out.
    width = jnp.median(distances[jnp.triu_indices(len(x), 1)])
    # More than half of the pairs may be ties of codes with few values.
    width = jnp.where(width > 0, width, 1.0)
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
