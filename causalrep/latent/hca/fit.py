"""Fits of HCA to samples of several domains: the ICA in each, and bootstrap draws of the causal order."""

from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from causalrep.latent.hca.model import hierarchy, in_order, search_orders
from causalrep.latent.hca.naming import name_latents
from causalrep.latent.ica import fast_ica


class Padded(NamedTuple):
    """Rows of all domains in one array.

    Attributes:
        x: Rows (domains, n, p), padded with zeros.
        weights: 1 for a row, 0 for padding (domains, n).
    """

    x: Float[Array, "domains n p"]
    weights: Float[Array, "domains n"]


class OrderDraws(NamedTuple):
    """Bootstrap of the causal order.

    Attributes:
        names: For each draw, the variables that name its latents, root first (draws, d).
        score: Largest MIC of each draw (draws,).
    """

    names: Int[Array, "draws d"]
    score: Float[Array, " draws"]


def pad(x: Float[np.ndarray, "n p"], domain: Int[np.ndarray, " n"]) -> Padded:
    """Rows sorted by domain, padded to the size of the largest domain.

    Args:
        x: Rows.
        domain: Domain of each row, from 0.
    """
    blocks = [x[domain == code] for code in range(domain.max() + 1)]
    longest = max(map(len, blocks))
    filled = np.stack([np.pad(block, ((0, longest - len(block)), (0, 0))) for block in blocks])
    return Padded(jnp.asarray(filled), jnp.stack([jnp.arange(longest) < len(block) for block in blocks]).astype(float))


def unmix_domains(key: Key[Array, ""], rows: Padded, latents: int, restarts: int) -> Float[Array, "domains d p"]:
    """The ICA unmixing matrix of every domain, rows in no particular order.

    Args:
        key: Random key of the ICA's starts.
        rows: Rows of the domains.
        latents: d.
        restarts: Starts of the ICA in each domain.
    """
    chex.assert_equal_shape_prefix([rows.x, rows.weights], 2)

    def one(domain: tuple[Key[Array, ""], Array, Array]) -> Array:
        key, x, weights = domain
        return fast_ica(key, x, latents, weights=weights, restarts=restarts).unmixing

    return jax.lax.map(one, (jax.random.split(key, len(rows.x)), *rows))


@partial(jax.jit, static_argnames=("latents", "restarts", "draws"))
def bootstrap_orders(
    key: Key[Array, ""], rows: Padded, *, latents: int = 3, restarts: int = 5, draws: int = 200
) -> OrderDraws:
    """Resample the rows of every domain with replacement, and search the causal order of each draw.

    Rows count as independent. Models merged from one another are not, so intervals from this are too short.

    Args:
        key: Random key.
        rows: Rows of the domains.
        latents: d.
        restarts: Starts of the ICA in each domain.
        draws: Number of bootstrap samples.
    """

    def draw(key: Key[Array, ""]) -> tuple[Array, Array]:
        ica_key, *keys = jax.random.split(key, len(rows.x) + 1)
        weights = jax.vmap(_counts)(jnp.stack(keys), rows.weights)
        unmixing = unmix_domains(ica_key, rows._replace(weights=weights), latents, restarts)
        search = search_orders(unmixing)
        together = rows.x.reshape(-1, rows.x.shape[2])
        named = name_latents(hierarchy(in_order(unmixing, search.rows)), together, weights.reshape(-1))
        return named.variable, search.score

    return OrderDraws(*jax.lax.map(draw, jax.random.split(key, draws)))


def _counts(key: Key[Array, ""], weights: Float[Array, " n"]) -> Float[Array, " n"]:
    """How often a bootstrap sample draws each row; padding comes last and is never drawn."""
    n = jnp.sum(weights)
    chosen = jnp.floor(jax.random.uniform(key, weights.shape) * n).astype(jnp.int32)
    # As many draws as there are places; those at places of padding add its weight, zero: n draws count.
    return jnp.zeros_like(weights).at[chosen].add(weights)
