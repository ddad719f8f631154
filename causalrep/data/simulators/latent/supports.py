"""Latents of any distribution with a polynomial mixing, where each latent is held constant in one environment."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.base.validation import check_choice
from causalrep.data.simulators.latent.mechanisms import EnvironmentRows, random_weights
from causalrep.data.simulators.latent.mixings import polynomial_mixing

WIDTH = 5.0  # uniform latents are U(-5, 5)
HELD_AT = 2.0  # value of the intervened latent (our choice; the source's is unknown to us)
AhujaLatents = Literal["uniform", "correlated", "mixture", "scm"]


def ahuja_simulation(
    key: Array, *, n: int, latents: int = 6, observed: int = 200, degree: int = 2, kind: AhujaLatents = "uniform"
) -> EnvironmentRows:
    """Ahuja et al. (ICML 2023): an observational environment, then one ``do(z_i = 2)`` for each latent.

    Args:
        key: Random key.
        n: Rows per environment.
        latents: Number d of latents.
        observed: Number p of observed variables. The mixing is linear in the monomials of the latents, and injective if
            p is at least their number.
        degree: Degree of the mixing.
        kind: Distribution of the latents. ``"uniform"``: independent ``U(-5, 5)``. ``"correlated"``: means of such and
            a shared one. ``"mixture"``: two Gaussians per latent. ``"scm"``: linear effects on a random graph with
            uniform noises, so that an intervention changes the descendants too. The details of all but the first are
            our own.

    Raises:
        InputError: If the kind is unknown.

    >>> from causalrep.keys import root
    >>> ahuja_simulation(root(0), n=10, latents=3, observed=20).x.shape
    (4, 10, 20)
    """
    check_choice("kind", kind, ("uniform", "correlated", "mixture", "scm"))
    z_key, weight_key, mixing_key = jax.random.split(key, 3)
    size = (latents + 1, n, latents)
    # target[e, 0, i]: environment e intervenes on latent i.
    target = jnp.arange(-1, latents)[:, None, None] == jnp.arange(latents)
    if kind == "scm":
        weights = random_weights(weight_key, latents, 0.5, 0.5, 1.0)
        noise = jax.random.uniform(z_key, size, minval=-WIDTH, maxval=WIDTH)
        # Causes come first in the order of latents, so a latent is set after all of its causes.
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
