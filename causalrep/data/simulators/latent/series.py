"""Latents that cause one another over time, behind an invertible mixing: the simulation known as G7."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.base.validation import check_choice
from causalrep.data.simulators.latent.mechanisms import EnvironmentRows
from causalrep.data.simulators.latent.mixings import leaky_mixing

NOISE = 0.1  # scale of the Laplace noise
BURN_IN = 30  # steps before the window, after which the start is forgotten
Transition = Literal["linear", "nonlinear"]


def leap_simulation(
    key: Array, *, n: int, latents: int = 8, lags: int = 2, layers: int = 3, kind: Transition = "linear"
) -> EnvironmentRows:
    """Windows of independent series, in the manner of LEAP (Yao et al., ICLR 2022).

    ``z_t = f(z_{t-1}, ..., z_{t-lags}) + eps_t`` with independent Laplace noises of scale 0.1, and ``x_t = g(z_t)``
    with leaky layers. f adds up rotations of the past, each lag's shrunk to a half of the one before (ours: the
    source's weights and widths are not known to us), and passes them through a leaky layer where it is nonlinear.

    Args:
        key: Random key.
        n: Series.
        latents: d, also the number of observed variables.
        lags: Past steps that act on the present.
        layers: Of the mixing.
        kind: Of f.

    Returns:
        Windows of ``lags + 1`` steps in the order of time: x and z are (n, lags + 1, d). There are no environments.
    """
    check_choice("kind", kind, ("linear", "nonlinear"))
    mixing_key, weight_key, second_key, noise_key = jax.random.split(key, 4)
    weights = jax.vmap(lambda key: jax.random.orthogonal(key, latents))(jax.random.split(weight_key, lags))
    # Norms of 1/2, 1/4, ...: their sum is below 1, so that no series explodes.
    weights = weights * 0.5 ** (1 + jnp.arange(lags))[:, None, None]
    second = jax.random.orthogonal(second_key, latents)

    def step(past: Array, noise: Array) -> tuple[Array, Array]:
        mean = jnp.einsum("lni,lji->nj", past, weights)
        if kind == "nonlinear":
            mean = jax.nn.leaky_relu(mean, 0.2) @ second.T
        z = mean + noise
        return jnp.concatenate([z[None], past[:-1]]), z

    noise = NOISE * jax.random.laplace(noise_key, (BURN_IN + lags + 1, n, latents))
    _, z = jax.lax.scan(step, jnp.zeros((lags, n, latents)), noise)
    z: Float[Array, "n window d"] = jnp.swapaxes(z[BURN_IN:], 0, 1)
    return EnvironmentRows(leaky_mixing(mixing_key, latents, layers)(z), z)
