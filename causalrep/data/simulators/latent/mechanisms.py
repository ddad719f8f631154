"""Linear Gaussian mechanisms of latent variables, and interventions on one of them at a time.

In environment e latents solve ``B_e z = eps + m_e`` with ``B_e = diag(1/sd)(I - A_e)``, standard normal eps, and A_e
strictly lower triangular: entry (i, j) is the effect of latent j on i, and causes come before effects. Environment 0 is
observational; in each of the others one row of B differs.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Interventions(NamedTuple):
    """The mechanisms of all environments.

    Attributes:
        maps: B_e (environments, d, d), lower triangular.
        means: m_e (environments, d), in standard deviations of the noise.
        targets: Which latent is intervened on (environments,); -1 in the observational environment.
    """

    maps: Float[Array, "environments d d"]
    means: Float[Array, "environments d"]
    targets: Int[Array, " environments"]

    @property
    def graph(self) -> Bool[Array, "d d"]:
        """Edges of the observational graph, (i, j) for ``i -> j``, as in :mod:`causalrep.metrics.graphs`."""
        return jnp.tril(self.maps[0], -1).T != 0

    def covariances(self) -> Float[Array, "environments d d"]:
        """Of the latents, ``B_e^{-1} B_e^{-T}``."""
        inverse = jax.vmap(_inverse)(self.maps)
        return inverse @ jnp.swapaxes(inverse, 1, 2)

    def latent_means(self) -> Float[Array, "environments d"]:
        """Means of the latents, ``B_e^{-1} m_e``."""
        return jnp.einsum("eij,ej->ei", jax.vmap(_inverse)(self.maps), self.means)


class EnvironmentRows(NamedTuple):
    """Rows of every environment.

    Attributes:
        x: Observations (environments, n, p).
        z: The latents behind them (environments, n, d); for scores alone, no method may see them.
    """

    x: Float[Array, "environments n p"]
    z: Float[Array, "environments n d"]


def one_per_latent(
    observational: Float[Array, "d d"], intervened: Float[Array, "d d"], mean: Float[Array, " d"] | float = 0.0
) -> Interventions:
    """An observational environment, then one intervention on each latent in turn.

    Args:
        observational: B_0.
        intervened: Row i replaces row i of B_0 in the environment that intervenes on latent i.
        mean: Mean of the intervened latent's noise (d,), in its standard deviations.
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
    """An Erdos-Renyi graph in causal order, with weights of random sign and magnitude ``U(low, high)``."""
    edge_key, weight_key = jax.random.split(key)
    edges = jax.random.bernoulli(edge_key, density, (d, d))
    return jnp.tril(jnp.where(edges, signed_uniform(weight_key, (d, d), low, high), 0.0), -1)


def signed_uniform(key: Array, shape: tuple[int, ...], low: float, high: float) -> Array:
    """Magnitudes ``U(low, high)`` of random sign."""
    sign_key, size_key = jax.random.split(key)
    sign = jnp.where(jax.random.bernoulli(sign_key, 0.5, shape), 1.0, -1.0)
    return sign * jax.random.uniform(size_key, shape, minval=low, maxval=high)


def draw_latents(key: Array, interventions: Interventions, n: int) -> Float[Array, "environments n d"]:
    """``n`` rows of latents from every environment."""
    environments, d = interventions.means.shape
    noise = jax.random.normal(key, (environments, n, d), interventions.maps.dtype) + interventions.means[:, None]
    return jnp.einsum("eni,eji->enj", noise, jax.vmap(_inverse)(interventions.maps))


def _inverse(b: Float[Array, "d d"]) -> Float[Array, "d d"]:
    return jax.scipy.linalg.solve_triangular(b, jnp.eye(len(b), dtype=b.dtype), lower=True)
