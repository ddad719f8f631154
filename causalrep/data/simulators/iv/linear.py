"""A linear simulation with weak or strong instruments, as a pure function of a key."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


class IVSample(NamedTuple):
    """A sample with instruments.

    Attributes:
        y: Outcome (n,).
        x: Endogenous treatments (n, p).
        z: Excluded instruments (n, k).
    """

    y: Float[Array, " n"]
    x: Float[Array, "n p"]
    z: Float[Array, "n k"]


def linear_iv(
    key: Key[Array, ""],
    *,
    n: int,
    instruments: int,
    strength: Float[Array, ""] | float,
    endogeneity: Float[Array, ""] | float,
    effect: Float[Array, ""] | float = 1.0,
    heteroskedastic: bool = False,
) -> IVSample:
    """The linear model of the literature on weak instruments (Staiger and Stock 1997).

    ``z ~ N(0, I_k)``, ``x = strength * sum_j z_j + v``, ``y = effect * x + u``, where ``(u, v)`` are standard normal
    with correlation ``endogeneity``. Two-stage least squares is consistent for ``effect`` unless ``strength`` is 0.

    Args:
        key: Random key.
        n: Sample size.
        instruments: Number k of instruments.
        strength: First-stage coefficient pi of every instrument; at 0 the instruments are irrelevant.
        endogeneity: Correlation rho of the errors, in (-1, 1).
        effect: Causal effect beta of x on y.
        heteroskedastic: Whether u is multiplied by ``|z_1|``, which keeps its mean zero given z but makes inference for
            homoskedastic errors invalid.

    Returns:
        The sample, with x of shape (n, 1).

    >>> from causalrep.keys import root
    >>> linear_iv(root(0), n=100, instruments=3, strength=0.5, endogeneity=0.6).z.shape
    (100, 3)
    """
    z_key, u_key, v_key = jax.random.split(key, 3)
    z = jax.random.normal(z_key, (n, instruments))
    u = jax.random.normal(u_key, (n,))
    v = endogeneity * u + jnp.sqrt(1 - jnp.square(endogeneity)) * jax.random.normal(v_key, (n,))
    x = strength * jnp.sum(z, axis=1) + v
    y = effect * x + (u * jnp.abs(z[:, 0]) if heteroskedastic else u)
    return IVSample(y, x[:, None], z)
