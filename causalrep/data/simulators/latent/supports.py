"""Latents of any distribution behind a polynomial, each held constant in one environment: known as G5."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.base.validation import check_choice
from causalrep.data.simulators.latent.mechanisms import EnvironmentRows, random_weights
from causalrep.data.simulators.latent.mixings import polynomial_mixing

WIDTH = 5.0  # latents are U(-5, 5) where they are uniform
HELD_AT = 2.0  # value of the intervened latent (ours: the source's is not known to us)
AhujaLatents = Literal["uniform", "correlated", "mixture", "scm"]


def ahuja_simulation(
    key: Array, *, n: int, latents: int = 6, observed: int = 200, degree: int = 2, kind: AhujaLatents = "uniform"
) -> EnvironmentRows:
    """Ahuja et al. (ICML 2023): an observational environment, then one ``do(z_i = 2)`` for each latent.

    Args:
        key: Random key.
        n: Rows an environment.
        latents: d.
        observed: p; the mixing is linear in the monomials of the latents, and injective if p is at least their number.
        degree: Of the mixing.
        kind: ``"uniform"``: independent ``U(-5, 5)``. ``"correlated"``: sums of such and a shared one. ``"mixture"``:
            two Gaussians a latent. ``"scm"``: linear effects on a random graph, of uniform noises, which a do-value
            passes on to descendants. All but the first are of our making in their details.
    """
    check_choice("kind", kind, ("uniform", "correlated", "mixture", "scm"))
    z_key, weight_key, mixing_key = jax.random.split(key, 3)
    size = (latents + 1, n, latents)
    target = jnp.arange(-1, latents)[:, None, None] == jnp.arange(latents)
    if kind == "scm":
        weights = random_weights(weight_key, latents, 0.5, 0.5, 1.0)
        noise = jax.random.uniform(z_key, size, minval=-WIDTH, maxval=WIDTH)
        # Causes come first, so that each latent is set once all of its causes are.
        z = jnp.zeros(size)
        for i in range(latents):
            own = z @ weights[i] + noise[..., i]
            z = z.at[..., i].set(jnp.where(target[..., i], HELD_AT, own))
    else:
        z = jnp.where(target, HELD_AT, _independent_of_targets(z_key, size, kind))
    mix = polynomial_mixing(mixing_key, latents, observed, degree, scale=WIDTH)
    return EnvironmentRows(mix(z), z)


def _independent_of_targets(key: Array, size: tuple[int, int, int], kind: str) -> Float[Array, "environments n d"]:
    own_key, shared_key = jax.random.split(key)
    if kind == "mixture":
        side = jnp.where(jax.random.bernoulli(shared_key, 0.5, size), 2.5, -2.5)
        return side + jax.random.normal(own_key, size)
    own = jax.random.uniform(own_key, size, minval=-WIDTH, maxval=WIDTH)
    if kind == "uniform":
        return own
    return 0.5 * (own + jax.random.uniform(shared_key, (*size[:2], 1), minval=-WIDTH, maxval=WIDTH))
