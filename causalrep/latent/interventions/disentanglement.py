"""Linear causal disentanglement from one hard intervention per latent (Squires, Seigal, Bhate, Uhler, ICML 2023).

With ``z = H x`` and ``B_e z = eps`` of unit variance, the precision of environment e is ``H' B_e' B_e H``. A hard
intervention on latent i changes row i of B_0 alone, so that ``Theta_e - Theta_0`` has rank two, and rank one for roots;
projected off the directions of its ancestors it has rank one for every latent. That finds the latents, roots first.

Identified if the mixing is linear and injective, mechanisms are linear, no two environments intervene on the same
latent, and every one is intervened on: H up to the scale and the order of its rows, and the graph.
Here causes come before effects; the paper numbers the other way round.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from causalrep.latent.interventions.moments import Moments
from causalrep.linalg import orthonormal_basis
from causalrep.precision import full_products


class Disentangled(NamedTuple):
    """Latents in a causal order, and their mechanisms.

    Attributes:
        unmixing: H (d, p), each row divided by its entry of largest magnitude.
        mechanism: B_0 (d, d), lower triangular.
        ancestors: (i, j) if latent i is an ancestor of j (d, d).
        targets: Which latent each interventional environment acts on (d,).
    """

    unmixing: Float[Array, "d p"]
    mechanism: Float[Array, "d d"]
    ancestors: Bool[Array, "d d"]
    targets: Int[Array, " d"]


@full_products
def linear_disentanglement(moments: Moments, *, gamma: float = 0.99) -> Disentangled:
    """The latents behind covariances of an observational and d interventional environments.

    Args:
        moments: Of the environments, d + 1 of them for d latents.
        gamma: A matrix has rank one if its largest squared singular value is more than this share of their sum: 0.99
            for samples, 1 - 1e-8 for exact covariances.
    """
    precisions = moments.precision()
    directions, ancestors = _directions(precisions[1:] - precisions[0], gamma)
    factors = jax.lax.map(lambda precision: _factor(precision, directions), precisions)
    targets, rows = _targets(factors)
    unmixing = rows @ directions
    full = unmixing @ moments.basis.T
    largest = jnp.take_along_axis(full, jnp.argmax(jnp.abs(full), axis=1, keepdims=True), axis=1)
    return Disentangled(full / largest, _factor(precisions[0], unmixing / largest), ancestors, targets)


def _directions(differences: Float[Array, "d d d"], gamma: float) -> tuple[Float[Array, "d d"], Bool[Array, "d d"]]:
    """Step a and b: one direction q a latent, roots first, and the ancestors of each."""
    d = len(differences)
    node = jnp.arange(d)

    def next_latent(found_so_far: tuple[Array, Array, Array], label: Array) -> tuple[tuple[Array, Array, Array], None]:
        q, ancestors, free = found_so_far
        found = node < label

        def within(environment: Array, chosen: Array) -> Array:
            """An environment's difference, projected off the chosen latents' directions."""
            off = _complement(q, chosen)
            return off @ differences[environment] @ off

        scores = jax.lax.map(lambda e: _rank_one_score(within(e, found)), node)
        environment = jnp.argmax(jnp.where(free, scores, -jnp.inf))
        # An earlier latent without which the rank is still one is no ancestor.
        without = jax.lax.map(lambda f: _rank_one_score(within(environment, found & (node != f))), node)
        direct = found & (without <= gamma)
        own = direct | jnp.any(direct[:, None] & ancestors, axis=0)
        values, vectors = jnp.linalg.eigh(within(environment, own))
        q = q.at[label].set(vectors[:, jnp.argmax(jnp.abs(values))])
        return (q, ancestors.at[label].set(own), free.at[environment].set(False)), None

    # Row i of the second holds the ancestors of i.
    start = (jnp.zeros_like(differences[0]), jnp.zeros((d, d), bool), jnp.ones(d, bool))
    (q, ancestors, _), _ = jax.lax.scan(next_latent, start, node)
    return q, ancestors.T


def _targets(factors: Float[Array, "e d d"]) -> tuple[Int[Array, " d"], Float[Array, "d d"]]:
    """Step c: each environment's target is the row that it changes most; that row of its factor is R's."""
    change = jnp.linalg.norm(factors[1:] - factors[0], axis=2)

    def take(used: Array, row: Array) -> tuple[Array, Array]:
        target = jnp.argmax(jnp.where(used, -jnp.inf, row))
        return used.at[target].set(True), target

    _, targets = jax.lax.scan(take, jnp.zeros(len(change), bool), change)
    own = factors[1:][jnp.arange(len(targets)), targets]
    return targets, jnp.zeros_like(own).at[targets].set(own)


def _factor(precision: Float[Array, "d d"], basis: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """Lower triangular C with positive diagonal and ``C' C = Q^{-T} Theta Q^{-1}``."""
    half = jnp.linalg.solve(basis.T, jnp.linalg.cholesky(precision))
    # half half' = C' C: reverse the order of the rows, and QR gives the triangle.
    triangle = jnp.linalg.qr(half[::-1].T, mode="r")
    sign = jnp.sign(jnp.diagonal(triangle))[:, None]
    return (sign * triangle)[::-1, ::-1]


def _complement(q: Float[Array, "d d"], chosen: Bool[Array, " d"]) -> Float[Array, "d d"]:
    """Projection on what is orthogonal to the chosen rows."""
    basis = orthonormal_basis(jnp.where(chosen[:, None], q, 0.0).T)
    return jnp.eye(len(q), dtype=q.dtype) - basis @ basis.T


def _rank_one_score(symmetric: Float[Array, "d d"]) -> Float[Array, ""]:
    squared = jnp.linalg.eigvalsh(symmetric) ** 2
    return jnp.max(squared) / jnp.maximum(jnp.sum(squared), jnp.finfo(squared.dtype).tiny)
