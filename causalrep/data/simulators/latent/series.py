"""Latents that cause one another over time, observed through an invertible mixing."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.base.validation import check_choice
from causalrep.data.simulators.latent.mechanisms import EnvironmentRows
from causalrep.data.simulators.latent.mixings import leaky_mixing

NOISE = 0.1  # scale of the Laplace noise
BURN_IN = 30  # steps before the window, enough for the start to have no effect
Transition = Literal["linear", "nonlinear"]


def leap_simulation(
    key: Array, *, n: int, latents: int = 8, lags: int = 2, layers: int = 3, kind: Transition = "linear"
) -> EnvironmentRows:
    """Windows of independent series, after LEAP (Yao et al., ICLR 2022).

    ``z_t = f(z_{t-1}, ..., z_{t-lags}) + eps_t`` with independent Laplace noises of scale 0.1, and ``x_t = g(z_t)``
    with leaky layers. f sums rotations of the past, where each lag has half the weight of the one before it,
    and a nonlinear f passes the sum through a leaky layer. The weights are our choice; the source's are unknown to us.

    Args:
        key: Random key.
        n: Number of series.
        latents: Number d of latents and of observed variables.
        lags: Number of past steps that act on the present.
        layers: Number of layers in the mixing.
        kind: ``"linear"`` or ``"nonlinear"`` f.

    Returns:
        Windows of ``lags + 1`` consecutive steps: x and z are (n, lags + 1, d). The first axis are series, not
        environments.

    Raises:
        InputError: If the kind is unknown.

    >>> from causalrep.keys import root
    >>> leap_simulation(root(0), n=10).x.shape
    (10, 3, 8)
    """
    check_choice("kind", kind, ("linear", "nonlinear"))
    mixing_key, weight_key, second_key, noise_key = jax.random.split(key, 4)
    weights = jax.vmap(lambda key: jax.random.orthogonal(key, latents))(jax.random.split(weight_key, lags))
    # The norms 1/2, 1/4, ... sum to less than 1, so that no series explodes.
    weights = weights * 0.5 ** (1 + jnp.arange(lags))[:, None, None]
    second = jax.random.orthogonal(second_key, latents)

    def step(past: Array, noise: Array) -> tuple[Array, Array]:
        # past[0] is the last step; the new one goes to the front and the oldest is dropped.
        mean = jnp.einsum("lni,lji->nj", past, weights)
        if kind == "nonlinear":
            mean = jax.nn.leaky_relu(mean, 0.2) @ second.T
        z = mean + noise
        return jnp.concatenate([z[None], past[:-1]]), z

    noise = NOISE * jax.random.laplace(noise_key, (BURN_IN + lags + 1, n, latents))
    _, path = jax.lax.scan(step, jnp.zeros((lags, n, latents)), noise)
    z: Float[Array, "n window d"] = jnp.swapaxes(path[BURN_IN:], 0, 1)
    return EnvironmentRows(leaky_mixing(mixing_key, latents, layers)(z), z)
