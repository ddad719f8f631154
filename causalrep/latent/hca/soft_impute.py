"""Completion of a low-rank matrix by soft-thresholded singular values (Mazumder, Hastie, Tibshirani 2010)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

SHARE = 50.0


def soft_impute(
    x: Float[Array, "n p"],
    seen: Bool[Array, "n p"],
    *,
    rank: int = 3,
    shrinkage: Float[Array, ""] | None = None,
    iterations: int = 100,
    tolerance: float = 1e-3,
) -> Float[Array, "n p"]:
    """Fill unseen entries: repeat ``x <- seen entries, else low-rank part of x`` until x changes no more.

    Args:
        x: Values; unseen ones may be anything finite, and count as 0 at the start.
        seen: Whether each entry is given.
        rank: Number of singular values kept.
        shrinkage: Amount subtracted from each of them; default a 50th of the largest singular value of the matrix
            filled with zeros. This and the other defaults are those of the package fancyimpute.
        iterations: Maximum number of iterations.
        tolerance: Stop when the unseen entries change by less than this, relative to their norm.

    Returns:
        The seen entries, and estimates of the others.
    """
    zero_filled = jnp.where(seen, x, 0.0)
    if shrinkage is None:
        shrinkage = jnp.sqrt(jnp.max(jnp.linalg.eigvalsh(zero_filled.T @ zero_filled))) / SHARE

    def low_rank(filled: Array) -> Array:
        # n is large and p small, so take the right singular vectors from the Gram matrix.
        values, vectors = jnp.linalg.eigh(filled.T @ filled)
        values, vectors = jnp.sqrt(jnp.maximum(values[-rank:], 0.0)), vectors[:, -rank:]
        kept = jnp.maximum(values - shrinkage, 0.0) / jnp.where(values > 0, values, 1.0)
        return filled @ (vectors * kept) @ vectors.T

    def body(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        filled, _, count = state
        new = jnp.where(seen, x, low_rank(filled))
        moved = jnp.linalg.norm(new - filled) / jnp.maximum(jnp.linalg.norm(jnp.where(seen, 0.0, filled)), 1e-12)
        return new, moved, count + 1

    def going(state: tuple[Array, Array, Array]) -> Array:
        return (state[1] > tolerance) & (state[2] < iterations)

    start = (zero_filled, jnp.asarray(jnp.inf, x.dtype), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(going, body, start)[0]
