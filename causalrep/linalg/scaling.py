"""Columns in their own units: which ones vary by more than rounding, and their standardization.

A score must not change when a column is measured in other units. So whether a column is constant is decided relative to
its own size, and its scale is taken after a first division by the largest deviation, whose squares neither overflow nor
vanish.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

# A float64 column is constant if it varies by less than this share of its largest value; a float32 one if by less than
# eight units in the last place.
CONSTANT = 1e-10


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
    shifts, sizes = _center_and_scale(reference)

    def standardize(x: Float[Array, "m d"]) -> Float[Array, "m d"]:
        return ((x - shifts[0]) / sizes[0] - shifts[1]) * sizes[1]

    return standardize


def standardized(x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Columns of mean 0 and standard deviation 1 (divisor n); constant ones become 0."""
    return standardizer(x)(x)


@jax.jit
def _center_and_scale(x: Float[Array, "n d"]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    # A mean far from 0 is off by rounding: the mean of what is left after its subtraction corrects it.
    first = jnp.mean(x, axis=0)
    rest = x - first
    largest = jnp.max(jnp.abs(rest), axis=0)
    varying = _exceeds_rounding(largest, jnp.max(jnp.abs(x), axis=0))
    size = jnp.where(varying, largest, 1.0)
    rest = rest / size
    second = jnp.mean(rest, axis=0)
    scale = jnp.sqrt(jnp.mean((rest - second) ** 2, axis=0))
    return (first, second), (size, jnp.where(varying, 1.0 / jnp.where(varying, scale, 1.0), 0.0))


def _exceeds_rounding(spread: Float[Array, " d"], largest: Float[Array, " d"]) -> Bool[Array, " d"]:
    return spread > max(CONSTANT, 8 * float(jnp.finfo(spread.dtype).eps)) * largest
