"""Linear Gaussian mechanisms of latent variables, and interventions on one of them at a time.

In environment e the latents solve ``B_e z = eps + m_e`` with ``B_e = diag(1/sd)(I - A_e)`` and standard normal eps. A_e
is strictly lower triangular: entry (i, j) is the effect of latent j on latent i, and causes come before effects.
Environment 0 is observational, and in each of the others one row of B differs.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Interventions(NamedTuple):
    """The mechanisms of all environments.

    Attributes:
        maps: B_e, lower triangular (environments, d, d).
        means: m_e, in standard deviations of the noise (environments, d).
        targets: The latent that is intervened on, -1 in the observational environment (environments,).
    """

    maps: Float[Array, "environments d d"]
    means: Float[Array, "environments d"]
    targets: Int[Array, " environments"]

    @property
    def graph(self) -> Bool[Array, "d d"]:
        """Adjacency matrix of the observational graph: entry (i, j) is True if ``z_i -> z_j`` (d, d)."""
        return jnp.tril(self.maps[0], -1).T != 0

    def covariances(self) -> Float[Array, "environments d d"]:
        """Covariances of the latents, ``B_e^{-1} B_e^{-T}``."""
        inverse = jax.vmap(_inverse)(self.maps)
        return inverse @ jnp.swapaxes(inverse, 1, 2)

    def latent_means(self) -> Float[Array, "environments d"]:
        """Means of the latents, ``B_e^{-1} m_e``."""
        return jnp.einsum("eij,ej->ei", jax.vmap(_inverse)(self.maps), self.means)


class EnvironmentRows(NamedTuple):
    """Observations and latents of every environment.

    Attributes:
        x: Observations (environments, n, p).
        z: Latents that gave the observations, for scoring only (environments, n, d).
    """

    x: Float[Array, "environments n p"]
    z: Float[Array, "environments n d"]


def one_per_latent(
    observational: Float[Array, "d d"], intervened: Float[Array, "d d"], mean: Float[Array, " d"] | float = 0.0
) -> Interventions:
    """An observational environment, followed by one environment per latent that intervenes on it.

    Args:
        observational: B_0 (d, d).
        intervened: Matrix whose row i replaces row i of B_0 in the environment that intervenes on latent i (d, d).
        mean: Mean of the intervened latent's noise, in its standard deviations (d,).

    >>> one_per_latent(jnp.eye(2), 3.0 * jnp.eye(2)).maps[1].tolist()
    [[3.0, 0.0], [0.0, 1.0]]
    """
    d = len(observational)
    own = jnp.eye(d, dtype=bool)
    maps = jnp.where(own[:, :, None], intervened[None], observational[None])
    means = jnp.where(own, mean, jnp.zeros((), observational.dtype))
    return Interventions(
        jnp.concatenate([observational[None], maps]),
        jnp.concatenate([jnp.zeros((1, d), means.dtype), means]),
        jnp.arange(-1, d),
    )


def random_weights(key: Array, d: int, density: float, low: float, high: float) -> Float[Array, "d d"]:
    """Weights A of an Erdős-Rényi graph in causal order, of random sign and magnitude ``U(low, high)`` (d, d)."""
    edge_key, weight_key = jax.random.split(key)
    edges = jax.random.bernoulli(edge_key, density, (d, d))
    return jnp.tril(jnp.where(edges, signed_uniform(weight_key, (d, d), low, high), 0.0), -1)


def signed_uniform(key: Array, shape: tuple[int, ...], low: float, high: float) -> Array:
    """Numbers of magnitude ``U(low, high)`` and random sign."""
    sign_key, size_key = jax.random.split(key)
    sign = jnp.where(jax.random.bernoulli(sign_key, 0.5, shape), 1.0, -1.0)
    return sign * jax.random.uniform(size_key, shape, minval=low, maxval=high)


def draw_latents(key: Array, interventions: Interventions, n: int) -> Float[Array, "environments n d"]:
    """``n`` rows of latents from every environment.

    >>> from causalrep.keys import root
    >>> draw_latents(root(0), one_per_latent(jnp.eye(2), 3.0 * jnp.eye(2)), 10).shape
    (3, 10, 2)
    """
    environments, d = interventions.means.shape
    noise = jax.random.normal(key, (environments, n, d), interventions.maps.dtype) + interventions.means[:, None]
    return jnp.einsum("eni,eji->enj", noise, jax.vmap(_inverse)(interventions.maps))


def _inverse(b: Float[Array, "d d"]) -> Float[Array, "d d"]:
    return jax.scipy.linalg.solve_triangular(b, jnp.eye(len(b), dtype=b.dtype), lower=True)
