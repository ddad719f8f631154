"""Columns in their own units: which ones vary by more than rounding, and their standardization.

A score must not change when a column is measured in other units. So whether a column is constant is decided relative to
its own size, and before squares are taken it is divided by the largest deviation of some rows: none overflows or
vanishes.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

# A float64 column is constant if it varies by less than this share of its largest value; a float32 one if by less than
# eight units in the last place.
CONSTANT = 1e-10
# Rows that give the first scale: it need not be exact.
SOME_ROWS = 64


def varies(x: Float[Array, "n d"]) -> Bool[Array, " d"]:
    """Whether each column varies by more than rounding.

    >>> varies(jnp.array([[0.1, 1.0], [0.1, 1.001]])).tolist()
    [False, True]
    """
    return _exceeds_rounding(jnp.max(x, axis=0) - jnp.min(x, axis=0), jnp.max(jnp.abs(x), axis=0))


def standardizer(reference: Float[Array, "n d"]) -> Callable[[Float[Array, "m d"]], Float[Array, "m d"]]:
    """The map to mean 0 and standard deviation 1 (divisor n) in the reference; columns constant there become 0.

    >>> standardizer(jnp.array([[1e-30, 0.1], [3e-30, 0.1]]))(jnp.array([[3e-30, 0.7]])).tolist()
    [[1.0, 0.0]]
    """
    origin, unit, mean, inverse = _center_and_scale(reference)
    return lambda x: ((x - origin) * unit - mean) * inverse


def standardized(x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Columns of mean 0 and standard deviation 1 (divisor n); constant ones become 0."""
    return standardizer(x)(x)


@jax.jit
def _center_and_scale(x: Float[Array, "n d"]) -> tuple[Array, Array, Array, Array]:
    # Less its first entry, a column far from 0 has a mean of the size of its deviations, which rounding spares.
    origin = x[0]
    size = jnp.max(jnp.abs(x[:: max(1, len(x) // SOME_ROWS)] - origin), axis=0)
    size = jnp.where(size > jnp.finfo(x.dtype).tiny, size, 1.0)
    # Sums along contiguous rows are twice as fast as those across them.
    rest = ((x - origin) * (1.0 / size)).T
    mean = jnp.mean(rest, axis=1)
    scale = jnp.sqrt(jnp.mean((rest - mean[:, None]) ** 2, axis=1))
    varying = _exceeds_rounding(scale * size, jnp.abs(origin) + scale * size)
    return origin, 1.0 / size, mean, jnp.where(varying, 1.0 / jnp.where(varying, scale, 1.0), 0.0)


def _exceeds_rounding(spread: Float[Array, " d"], largest: Float[Array, " d"]) -> Bool[Array, " d"]:
    return spread > max(CONSTANT, 8 * float(jnp.finfo(spread.dtype).eps)) * largest
