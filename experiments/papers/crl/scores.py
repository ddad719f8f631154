"""Shared by the studies of causal representation learning: baselines, scores, chance levels and rows."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.data import Interventions
from causalrep.latent import fast_ica
from causalrep.latent.environments.rows import CodedRows, coded_rows
from causalrep.metrics import chance_level, mcc, varsortability
from causalrep.study import Study, Table

ROWS = 4000  # largest number of rows that score a method
HELD_OUT = 0.2  # share of the rows of every environment that no fit sees
CHANCE = "Random rotation"


def study(
    config: Any,
    name: str,
    replicate: Callable,
    *,
    settings: Sequence[Mapping[str, Any]],
    fields: tuple[str, ...],
    claims: tuple[Any, ...],
    tables: tuple[Table, ...],
) -> Study:
    """The study of a method that is trained in float32, from its fields ``replications`` and ``seed``.

    Args:
        config: Fields of the experiment.
        name: Name of the study.
        replicate: Function of a key, a setting and ``config``.
        settings: Cells of the study.
        fields: Names of the fields that belong to the identity of a run, besides the settings.
        claims: Claims of the study.
        tables: Tables of the study.
    """
    return Study(
        name=name,
        replicate=partial(replicate, config=config),
        settings=settings,
        replications=config.replications,
        seed=config.seed,
        precision="float32",
        config={field: getattr(config, field) for field in fields},
        claims=claims,
        tables=tables,
    )


def scored(z: Float[Array, "n d"], codes: Mapping[str, Array], chance: Array) -> dict[str, dict[str, Array]]:
    """MCC of the codes of every method, and its distance to the chance level."""
    values = {name: mcc(z, z_hat) for name, z_hat in codes.items()}
    return {name: {"mcc": value, "above_chance": value - chance} for name, value in values.items()}


def baselines(key: Array, z: Float[Array, "n d"], x: Float[Array, "n p"]) -> dict[str, Array]:
    """Codes of encoders that use no environments, and of one that is trained on the true latents.

    Args:
        key: Random key.
        z: Latents of rows.
        x: Observations of the same rows, standardized if their scales differ.
    """
    d = z.shape[1]
    center = x - jnp.mean(x, axis=0)
    basis = jnp.linalg.eigh(center.T @ center)[1][:, -d:]
    components = center @ basis
    ica = fast_ica(key, components[:: max(1, len(x) // 2000)], d, iterations=50)
    return {"PCA": components, "Linear ICA": components @ ica.unmixing.T, "Supervised linear": _least_squares(z, x)}


def chance(key: Array, z: Float[Array, "n d"]) -> Array:
    """Chance level of the MCC: that of random rotations of the latents."""
    return chance_level(mcc, key, z, draws=20).mean


def shuffled(key: Array, rows: Float[Array, "e n p"]) -> Float[Array, "e n p"]:
    """Rows assigned to environments at random: a negative control in which the labels carry no information."""
    flat = rows.reshape(-1, rows.shape[-1])
    return flat[jax.random.permutation(key, len(flat))].reshape(rows.shape)


def standardized(x: Float[Array, "e n p"]) -> Float[Array, "e n p"]:
    """Columns of mean 0 and standard deviation 1 over all environments."""
    return (x - jnp.mean(x, axis=(0, 1))) / jnp.std(x, axis=(0, 1))


def whitened(x: Float[Array, "e n p"]) -> Float[Array, "e n p"]:
    """The rows with mean 0 and identity covariance over all environments, by the closest (symmetric) whitening."""
    center, values, vectors = _eigen(x)
    return center @ ((vectors / jnp.sqrt(values)) @ vectors.T)


def principal(x: Float[Array, "e n p"], number: int) -> Float[Array, "e n number"]:
    """The leading principal components of the rows of all environments, each with variance 1."""
    center, values, vectors = _eigen(x)
    return center @ (vectors[:, -number:] / jnp.sqrt(values[-number:]))


def _eigen(x: Float[Array, "e n p"]) -> tuple[Float[Array, "e n p"], Float[Array, " p"], Float[Array, "p p"]]:
    """Centered rows, and eigenvalues (ascending) and eigenvectors of their covariance over all environments."""
    center = x - jnp.mean(x, axis=(0, 1))
    return center, *jnp.linalg.eigh(jnp.einsum("enp,enq->pq", center, center) / (len(x) * x.shape[1]))


def rows_of(x: Float[Array, "e n p"]) -> CodedRows:
    """Rows with the codes of their environments."""
    environments, n, p = x.shape
    return coded_rows(x.reshape(-1, p), jnp.repeat(jnp.arange(environments), n), environments)


def environment_rows(x: Float[Array, "e n p"]) -> tuple[CodedRows, CodedRows]:
    """Training rows, and the first fifth of every environment as validation rows."""
    held = int(HELD_OUT * x.shape[1])
    return rows_of(x[:, held:]), rows_of(x[:, :held])


def _least_squares(z: Float[Array, "n d"], x: Float[Array, "n p"]) -> Float[Array, "n d"]:
    """Latents predicted by a ridge regression on the even rows: an upper bound for linear encoders."""
    design = jnp.concatenate([x, jnp.ones((len(x), 1), x.dtype)], axis=1)
    even = design[::2]
    penalty = 1e-6 * jnp.trace(even.T @ even) / len(design.T)
    return design @ jnp.linalg.solve(even.T @ even + penalty * jnp.eye(len(design.T), dtype=x.dtype), even.T @ z[::2])


def varsortability_of(interventions: Interventions) -> Array:
    """Varsortability of the latents' graph, by their observational variances."""
    return varsortability(interventions.graph, jnp.diagonal(interventions.covariances()[0]))
