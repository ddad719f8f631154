"""The rows that a network learns from: standardized, in float32, with weights of mean one."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.training.rows import Scaling, no_scaling, scaling_of


class Units(NamedTuple):
    """A batch of rows in float32.

    Attributes:
        x: Covariates (n, d).
        t: Treatment, 0 or 1 (n,).
        y: Standardized outcome (n,).
        w: Weights (n,), 0 for rows that only pad the batch.
    """

    x: Float[Array, "n d"]
    t: Float[Array, " n"]
    y: Float[Array, " n"]
    w: Float[Array, " n"]


class Scalings(NamedTuple):
    """The scalings of covariates and outcome."""

    x: Scaling
    y: Scaling

    def inputs(self, x: Float[Array, "m d"]) -> Float[Array, "m d"]:
        """Covariates as a network takes them, float32."""
        return self.x.apply(x).astype(jnp.float32)

    def outcomes(self, out: Float[Array, " m"]) -> Float[Array, " m"]:
        """A network's outcomes in the units and the precision of the data."""
        return self.y.undo(out.astype(self.y.mean.dtype))


def standardize(
    x: Float[Array, "n d"], t: Float[Array, " n"], y: Float[Array, " n"], w: Float[Array, " n"], *, covariates: bool
) -> tuple[Units, Scalings]:
    """Units with a standardized outcome and weights of mean one, and the scalings that undo it.

    Args:
        x: Covariates.
        t: Treatment.
        y: Outcome.
        w: Weights; rows with weight 0 do not enter the moments.
        covariates: Standardize the covariates too.
    """
    # Moments are taken in the precision of the input: in float32, an outcome of large mean and small standard
    # deviation would lose its digits.
    scalings = Scalings(scaling_of(x, w) if covariates else no_scaling(x), scaling_of(y, w))
    # Rows without weight may hold anything, NaN included, and NaN times a weight of 0 would be NaN.
    used = w > 0
    columns = (
        jnp.where(used[:, None], scalings.x.apply(x), 0.0),
        t,
        jnp.where(used, scalings.y.apply(y), 0.0),
        w / jnp.mean(w),
    )
    return Units(*(column.astype(jnp.float32) for column in columns)), scalings
