"""Simulated designs for instrumental variables."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


class IVSample(NamedTuple):
    """A sample of an instrumental-variable design.

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
    """The linear weak/strong-instrument design.

    ``z ~ N(0, I_k)``, ``x = strength * sum_j z_j + v``, ``y = effect * x + u``, where ``(u, v)`` are standard normal
    with correlation ``endogeneity``.

    Args:
        key: Random key.
        n: Sample size.
        instruments: k.
        strength: The paper's pi: every instrument's first-stage coefficient; 0 is an irrelevant instrument.
        endogeneity: rho in (-1, 1).
        effect: The causal effect beta.
        heteroskedastic: Scale u by ``|z_1|``, which keeps its mean zero given z but breaks homoskedastic inference.

    Returns:
        The sample, x of shape (n, 1).
    """
    z_key, u_key, v_key = jax.random.split(key, 3)
    z = jax.random.normal(z_key, (n, instruments))
    u = jax.random.normal(u_key, (n,))
    v = endogeneity * u + jnp.sqrt(1 - jnp.square(endogeneity)) * jax.random.normal(v_key, (n,))
    x = strength * jnp.sum(z, axis=1) + v
    y = effect * x + (u * jnp.abs(z[:, 0]) if heteroskedastic else u)
    return IVSample(y, x[:, None], z)
