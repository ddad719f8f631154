"""What all tables of causal representation learning share: baselines, scores and their chance levels."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.data import Interventions
from causalrep.latent import fast_ica
from causalrep.latent.environments.rows import CodedRows, coded_rows
from causalrep.metrics import chance_level, mcc, varsortability

ROWS = 4000  # rows to score on
HELD_OUT = 0.2  # share of the rows of every environment
CHANCE = "Random rotation"


def scored(z: Float[Array, "n d"], codes: Mapping[str, Array], chance: Array) -> dict[str, dict[str, Array]]:
    """MCC of every method's codes, and how far above the chance level it is."""
    values = {name: mcc(z, z_hat) for name, z_hat in codes.items()}
    return {name: {"mcc": value, "above_chance": value - chance} for name, value in values.items()}


def baselines(key: Array, z: Float[Array, "n d"], x: Float[Array, "n p"]) -> dict[str, Array]:
    """Codes of encoders that use no environments, and of one that is trained on the true latents.

    Args:
        key: Random key.
        z: Latents of rows.
        x: Their observations, standardized if their scales differ.
    """
    d = z.shape[1]
    center = x - jnp.mean(x, axis=0)
    basis = jnp.linalg.eigh(center.T @ center)[1][:, -d:]
    components = center @ basis
    ica = fast_ica(key, components[:: max(1, len(x) // 2000)], d, iterations=50)
    return {"PCA": components, "Linear ICA": components @ ica.unmixing.T, "Supervised linear": _least_squares(z, x)}


def chance(key: Array, z: Float[Array, "n d"]) -> Array:
    """MCC of random rotations of these latents."""
    return chance_level(mcc, key, z, draws=20).mean


def shuffled(key: Array, rows: Float[Array, "e n p"]) -> Float[Array, "e n p"]:
    """Rows assigned to environments at random: a control whose labels say nothing."""
    flat = rows.reshape(-1, rows.shape[-1])
    return flat[jax.random.permutation(key, len(flat))].reshape(rows.shape)


def standardized(x: Float[Array, "e n p"]) -> Float[Array, "e n p"]:
    """Columns of mean 0 and standard deviation 1 over all environments."""
    return (x - jnp.mean(x, axis=(0, 1))) / jnp.std(x, axis=(0, 1))


def whitened(x: Float[Array, "e n p"]) -> Float[Array, "e n p"]:
    """The rows with mean 0 and unit covariance over all environments, by the symmetric map, which moves them least."""
    center = x - jnp.mean(x, axis=(0, 1))
    values, vectors = jnp.linalg.eigh(jnp.einsum("enp,enq->pq", center, center) / (len(x) * x.shape[1]))
    return center @ ((vectors / jnp.sqrt(values)) @ vectors.T)


def principal(x: Float[Array, "e n p"], number: int) -> Float[Array, "e n number"]:
    """The leading principal components of the rows of all environments, each of variance 1."""
    center = x - jnp.mean(x, axis=(0, 1))
    values, vectors = jnp.linalg.eigh(jnp.einsum("enp,enq->pq", center, center) / (len(x) * x.shape[1]))
    return center @ (vectors[:, -number:] / jnp.sqrt(values[-number:]))


def rows_of(x: Float[Array, "e n p"]) -> CodedRows:
    """Rows with the codes of their environments."""
    environments, n, p = x.shape
    return coded_rows(x.reshape(-1, p), jnp.repeat(jnp.arange(environments), n), environments)


def environment_rows(x: Float[Array, "e n p"]) -> tuple[CodedRows, CodedRows]:
    """Rows to train on, and the first fifth of every environment to validate."""
    held = int(HELD_OUT * x.shape[1])
    return rows_of(x[:, held:]), rows_of(x[:, :held])


def _least_squares(z: Float[Array, "n d"], x: Float[Array, "n p"]) -> Float[Array, "n d"]:
    """Latents predicted from observations by ridge regression on even rows: a ceiling for linear encoders."""
    design = jnp.concatenate([x, jnp.ones((len(x), 1), x.dtype)], axis=1)
    even = design[::2]
    penalty = 1e-6 * jnp.trace(even.T @ even) / len(design.T)
    return design @ jnp.linalg.solve(even.T @ even + penalty * jnp.eye(len(design.T), dtype=x.dtype), even.T @ z[::2])


def varsortability_of(interventions: Interventions) -> Array:
    """Varsortability of the latents' graph, by their observational variances."""
    return varsortability(interventions.graph, jnp.diagonal(interventions.covariances()[0]))
