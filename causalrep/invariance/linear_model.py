"""A linear predictor without a constant, as a model for the training objectives."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key


class LinearModel(NamedTuple):
    """``f(x) = x @ w`` with w drawn uniformly from ``[-1, 1] / sqrt(m)`` at initialization.

    Attributes:
        columns: Mask of the columns in use; None means all. The weights of the others stay zero, so that problems of
            different width share one shape; m counts the columns in use.

    >>> import jax, jax.numpy as jnp
    >>> model = LinearModel(jnp.array([True, False]))
    >>> w = model.init(jax.random.key(0), jnp.ones((3, 2)))
    >>> bool(w[0] != 0), float(w[1])
    (True, 0.0)
    """

    columns: Bool[Array, " m"] | None = None

    def init(self, key: Key[Array, ""], x: Float[Array, "n m"]) -> Float[Array, " m"]:
        """Random weights (m,)."""
        used = jnp.ones(x.shape[1], bool) if self.columns is None else self.columns
        bound = 1.0 / jnp.sqrt(jnp.sum(used).astype(x.dtype))
        return jax.random.uniform(key, (x.shape[1],), x.dtype, -1.0, 1.0) * bound * used

    def apply(self, params: Float[Array, " m"], x: Float[Array, "n m"]) -> Float[Array, " n"]:
        """``x @ params``; columns that are not in use must be zero."""
        return x @ params
