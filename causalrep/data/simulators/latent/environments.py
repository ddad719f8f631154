"""Simulations on which methods of causal representation learning are evaluated, as pure functions of a key.

| function | source | mixing | interventions |
|---|---|---|---|
| :func:`squires_model` | Squires et al. 2023 | linear, 10 x 5 | hard |
| :func:`varici_model` | Varıcı et al. 2025 | linear, 25 x 5 | hard or soft |
| :func:`buchholz_simulation` | Buchholz et al. 2023 | linear or perceptron, 100 x 5 | hard, with a shift |
| :func:`cauca_simulation` | von Kügelgen et al. and Liang et al. 2023 | layers of tanh, 4 x 4 | hard, with a shift |
| :func:`segments_simulation` | Hyvärinen and Morioka 2016 | leaky layers, 5 x 5 | none: noise scales by segment |
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.data.simulators.latent.mechanisms import (
    EnvironmentRows,
    Interventions,
    draw_latents,
    one_per_latent,
    random_weights,
    signed_uniform,
)
from causalrep.data.simulators.latent.mixings import (
    CANDIDATES,
    leaky_mixing,
    mlp_mixing,
    orthogonal_columns,
    tanh_mixing,
)


class LinearCRLModel(NamedTuple):
    """Linear Gaussian latents and a linear mixing ``x = G z``.

    Attributes:
        interventions: Mechanisms of the environments.
        mixing: G, of full column rank (p, d).
        unmixing: Pseudo-inverse H of G (d, p).
    """

    interventions: Interventions
    mixing: Float[Array, "p d"]
    unmixing: Float[Array, "d p"]

    def moments(self) -> tuple[Float[Array, "environments p"], Float[Array, "environments p p"]]:
        """Exact means (environments, p) and covariances (environments, p, p) of the observations."""
        latent = self.interventions
        return latent.latent_means() @ self.mixing.T, self.mixing @ latent.covariances() @ self.mixing.T

    def draw(self, key: Array, n: int) -> EnvironmentRows:
        """``n`` rows from every environment, as x (environments, n, p) and z (environments, n, d)."""
        z = draw_latents(key, self.interventions, n)
        return EnvironmentRows(z @ self.mixing.T, z)


class CausalRows(NamedTuple):
    """Rows of every environment and the mechanisms that gave them.

    Attributes:
        rows: Observations and latents; the observational environment is the first.
        interventions: Mechanisms of the latents.
    """

    rows: EnvironmentRows
    interventions: Interventions


def squires_model(key: Array, *, latents: int = 5, observed: int = 10, density: float = 0.75) -> LinearCRLModel:
    """Squires, Seigal, Bhate, Uhler (ICML 2023): linear mixing, one hard intervention per latent.

    ``B_0 = diag(U(2, 4))(I - A)`` with weights of magnitude ``U(0.25, 1)``. An intervened row of B has ``U(6, 8)`` on
    the diagonal and zeros elsewhere. Rows of H are ``U(-2, 2)``, divided by their entry of largest magnitude.

    Args:
        key: Random key.
        latents: Number d of latents.
        observed: Number p of observed variables.
        density: Probability of an edge.

    >>> from causalrep.keys import root
    >>> squires_model(root(0)).draw(root(1), 100).x.shape
    (6, 100, 10)
    """
    keys = jax.random.split(key, 4)
    scale = jax.random.uniform(keys[0], (latents, 1), minval=2.0, maxval=4.0)
    observational = scale * (jnp.eye(latents) - random_weights(keys[1], latents, density, 0.25, 1.0))
    strong = jnp.diag(jax.random.uniform(keys[2], (latents,), minval=6.0, maxval=8.0))
    unmixing = jax.random.uniform(keys[3], (latents, observed), minval=-2.0, maxval=2.0)
    largest = jnp.argmax(jnp.abs(unmixing), axis=1, keepdims=True)
    unmixing = unmixing / jnp.take_along_axis(unmixing, largest, axis=1)
    return LinearCRLModel(one_per_latent(observational, strong), jnp.linalg.pinv(unmixing), unmixing)


def varici_model(
    key: Array,
    *,
    latents: int = 5,
    observed: int = 25,
    density: float = 0.5,
    hard: bool = True,
    variance_factor: float = 5.0,
    least_signal: float = 0.0,
) -> LinearCRLModel:
    """Varıcı, Acartürk, Shanmugam, Kumar, Tajer (JMLR 2025): linear mixing, one intervention per latent.

    Args:
        key: Random key.
        latents: Number d of latents.
        observed: Number p of observed variables.
        density: Probability of an edge.
        hard: Whether interventions remove the effects of the intervened latent's parents; otherwise they halve them.
        variance_factor: Factor by which interventions multiply the variance of the intervened latent's noise.
        least_signal: Graphs with a weaker edge are redrawn (see :func:`edge_signals`); the released code uses 0.02.

    >>> from causalrep.keys import root
    >>> varici_model(root(0), hard=False).draw(root(1), 100).x.shape
    (6, 100, 25)
    """
    graph_key, variance_key, mixing_key = jax.random.split(key, 3)
    variance = jax.random.uniform(variance_key, (latents,), minval=0.5, maxval=1.5)
    mixing = orthogonal_columns(mixing_key, observed, latents)

    def mechanisms(key: Array) -> Interventions:
        weights = random_weights(key, latents, density, 0.5, 1.5)
        left, unit = jnp.zeros_like(weights) if hard else 0.5 * weights, jnp.eye(latents)
        spread = jnp.sqrt(variance)[:, None]
        return one_per_latent((unit - weights) / spread, (unit - left) / (spread * variance_factor**0.5))

    def weakest(drawn: Interventions) -> Array:
        # (j, i) of edge_signals is an edge j -> i, as entry (j, i) of the graph is.
        return jnp.min(jnp.where(drawn.graph, edge_signals(drawn), jnp.inf))

    # A fixed number of candidates, so that shapes are static; if none is strong enough, argmax takes the first.
    candidates = jax.vmap(mechanisms)(jax.random.split(graph_key, CANDIDATES))
    first = jnp.argmax(jax.vmap(weakest)(candidates) >= least_signal)
    interventions = jax.tree.map(lambda leaf: leaf[first], candidates)
    return LinearCRLModel(interventions, mixing, jnp.linalg.pinv(mixing))


def edge_signals(interventions: Interventions) -> Float[Array, "d d"]:
    """Mean squared change of coordinate j of the latents' score when latent i is intervened on, at entry (j, i).

    It is zero except for latent i itself and its parents, so it measures how well score-based methods can see an edge.
    """
    maps, covariance = interventions.maps, interventions.covariances()[0]
    precisions = jnp.swapaxes(maps, 1, 2) @ maps
    # The score of N(0, P^-1) is -P z, so its change is (P_0 - P_i) z with z from the observational environment.
    change = precisions[1:] - precisions[0]
    return jnp.diagonal(change @ covariance @ change, axis1=1, axis2=2).T


def buchholz_simulation(
    key: Array,
    *,
    n: int,
    latents: int = 5,
    observed: int = 100,
    degree: float = 4.0,
    nonlinear: bool = False,
    shifted: bool = True,
) -> CausalRows:
    """Buchholz et al. (NeurIPS 2023): one hard intervention per latent, which shifts it and changes its variance.

    Args:
        key: Random key.
        n: Rows per environment.
        latents: Number d of latents.
        observed: Number p of observed variables.
        degree: Expected number of neighbors in the graph.
        nonlinear: Whether the mixing is a random perceptron with three hidden layers of width 512; otherwise it is a
            Gaussian matrix.
        shifted: Whether interventions move the mean by one to two standard deviations. If not, a method cannot rely on
            differences of means alone.

    >>> from causalrep.keys import root
    >>> buchholz_simulation(root(0), n=100).rows.x.shape
    (6, 100, 100)
    """
    keys = jax.random.split(key, 6)
    weights = random_weights(keys[0], latents, min(1.0, degree / (latents - 1)), 0.25, 1.0)
    spread, after = jnp.sqrt(jax.random.uniform(keys[1], (2, latents), minval=1.0, maxval=2.0))
    mean = signed_uniform(keys[2], (latents,), 1.0, 2.0) / after if shifted else jnp.zeros(latents)
    interventions = one_per_latent((jnp.eye(latents) - weights) / spread[:, None], jnp.diag(1.0 / after), mean)
    z = draw_latents(keys[3], interventions, n)
    if nonlinear:
        x = mlp_mixing(keys[4], latents, observed)(z)
    else:
        x = z @ jax.random.normal(keys[4], (latents, observed)) / jnp.sqrt(latents)
    return CausalRows(EnvironmentRows(x, z), interventions)


def cauca_simulation(
    key: Array, *, n: int, latents: int = 4, layers: int = 3, density: float = 0.5, signal: float = 1.0
) -> CausalRows:
    """Linear Gaussian latents, perfect interventions that shift by 2, and a mixing of tanh layers.

    Source: von Kügelgen et al. and Liang et al. (both NeurIPS 2023). The shift is always +2, because both outcomes of
        the
    coin flip for its sign give +2 in the released code.

    Args:
        key: Random key.
        n: Rows per environment.
        latents: Number d of latents and of observed variables.
        layers: Number of nonlinear layers in the mixing.
        density: Probability of an edge (our choice; the source's is unknown to us).
        signal: Bound k of the weights: they are ``U(-k, k)``, and of magnitude at least 2 if k exceeds 2.

    >>> from causalrep.keys import root
    >>> cauca_simulation(root(0), n=100).rows.x.shape
    (5, 100, 4)
    """
    graph_key, z_key, mixing_key = jax.random.split(key, 3)
    weights = random_weights(graph_key, latents, density, 2.0 if signal > 2.0 else 0.0, signal)
    unit = jnp.eye(latents)
    interventions = one_per_latent(unit - weights, unit, 2.0)
    z = draw_latents(z_key, interventions, n)
    return CausalRows(EnvironmentRows(tanh_mixing(mixing_key, latents, layers)(z), z), interventions)


def segments_simulation(
    key: Array, *, n: int, latents: int = 5, segments: int = 20, layers: int = 2
) -> EnvironmentRows:
    """Independent Laplace latents, scaled by ``U(0, 1)`` in each segment, and a mixing of leaky layers.

    Source: Hyvärinen and Morioka (NeurIPS 2016), Khemakhem et al. (2020).

    Args:
        key: Random key.
        n: Rows per segment.
        latents: Number d of latents and of observed variables.
        segments: Number of segments. Identification of exponential families with two statistics needs ``2 d + 1``.
        layers: Number of layers in the mixing.

    Returns:
        Rows whose environments are the segments.

    >>> from causalrep.keys import root
    >>> segments_simulation(root(0), n=100).x.shape
    (20, 100, 5)
    """
    scale_key, z_key, mixing_key = jax.random.split(key, 3)
    scales = jax.random.uniform(scale_key, (segments, 1, latents))
    z = scales * jax.random.laplace(z_key, (segments, n, latents))
    return EnvironmentRows(leaky_mixing(mixing_key, latents, layers)(z), z)
