"""The rows a network learns from: standardised, weighted, and split within the treatment arms."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key


class Units(NamedTuple):
    """A batch of rows, float32.

    Attributes:
        x: Covariates (n, d).
        t: Treatment, 0 or 1 (n,).
        y: Outcome, standardised (n,).
        w: Weights; 0 for a row that only pads the batch (n,).
    """

    x: Float[Array, "n d"]
    t: Float[Array, " n"]
    y: Float[Array, " n"]
    w: Float[Array, " n"]


class Scaling(NamedTuple):
    """Means and standard deviations of the covariates (d,) and of the outcome."""

    x_mean: Float[Array, " d"]
    x_std: Float[Array, " d"]
    y_mean: Float[Array, ""]
    y_std: Float[Array, ""]


def standardize(
    x: Float[Array, "n d"], t: Float[Array, " n"], y: Float[Array, " n"], w: Float[Array, " n"], *, covariates: bool
) -> tuple[Units, Scaling]:
    """Units with a standardised outcome and weights of mean one, and how to undo it.

    Moments are taken in the precision of the input: an outcome of large mean and small spread would lose its digits in
    float32. A constant column, or outcome, becomes 0.

    Args:
        x: Covariates.
        t: Treatment.
        y: Outcome.
        w: Weights; rows with 0 do not enter the moments.
        covariates: Standardise the covariates too.
    """
    y_mean, y_std = _moments(y, w)
    x_mean, x_std = _moments(x, w) if covariates else (jnp.zeros_like(x[0]), jnp.ones_like(x[0]))
    scaling = Scaling(x_mean, x_std, y_mean, y_std)
    # Rows without weight may hold anything, NaN included: they must not reach a product with their weight.
    used = w > 0
    columns = (
        jnp.where(used[:, None], (x - x_mean) / x_std, 0.0),
        t,
        jnp.where(used, (y - y_mean) / y_std, 0.0),
        w / jnp.mean(w),
    )
    return Units(*(column.astype(jnp.float32) for column in columns)), scaling


def inputs(scaling: Scaling, x: Float[Array, "m d"]) -> Float[Array, "m d"]:
    """Covariates as the network takes them."""
    return ((x - scaling.x_mean) / scaling.x_std).astype(jnp.float32)


def outcomes(scaling: Scaling, y: Float[Array, " m"]) -> Float[Array, " m"]:
    """The network's outcomes in the units of the data."""
    return scaling.y_mean + scaling.y_std * y.astype(scaling.y_mean.dtype)


def _moments(values: Float[Array, "n *d"], w: Float[Array, " n"]) -> tuple[Float[Array, "*d"], Float[Array, "*d"]]:
    shares = w / jnp.sum(w)
    values = jnp.where((w > 0).reshape(-1, *[1] * (values.ndim - 1)), values, 0.0)
    mean = shares @ values
    std, size = jnp.sqrt(shares @ (values - mean) ** 2), jnp.sqrt(shares @ values**2)
    # What is left of a constant after subtracting its mean is rounding.
    return mean, jnp.where(std > 10 * jnp.finfo(values.dtype).eps * size, std, 1.0)


def split(key: Key[Array, ""], units: Units, share: float) -> tuple[Units, Units]:
    """Rows to train on and rows to validate, at random within the treatment arms and in random order.

    Args:
        key: Random key.
        units: All rows.
        share: Of the rows, for validation; at least one row and at most all but one.
    """
    n = len(units.y)
    count = min(max(round(share * n), 1), n - 1)
    order_key, shuffle_key = jax.random.split(key)
    # Sorted by arm, every (n / count)-th row: which positions are taken is known beforehand.
    order = jnp.lexsort((jax.random.uniform(order_key, (n,)), units.t, units.w > 0))
    position = np.arange(n)
    chosen = (position + 1) * count // n > position * count // n
    training = jax.random.permutation(shuffle_key, order[np.flatnonzero(~chosen)])
    return _rows(units, training), _rows(units, order[np.flatnonzero(chosen)])


def _rows(units: Units, rows: Array) -> Units:
    return jax.tree.map(lambda leaf: leaf[rows], units)
