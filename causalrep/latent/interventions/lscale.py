"""Score-based causal representation learning, LSCALE-I (Varici, Acarturk, Shanmugam, Kumar, Tajer, JMLR 2025).

An intervention on latent i changes its mechanism alone, so the score of the latents changes in the coordinates of i and
of its parents alone; the score of ``x = G z`` changes along the corresponding rows of ``G^+``. No model of the latents
is needed, but their scores in every environment; the Gaussian ones need two moments.

Identified if the mixing is linear and injective, no two environments intervene on the same latent, and every one is
intervened on: with hard interventions the latents up to scale and the graph; with soft ones each latent up to adding
ancestors of it, and the graph's transitive closure. An environment's number names the latent that it acts on.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from causalrep.latent.interventions.moments import Moments
from causalrep.linalg import spd_solve
from causalrep.metrics.graphs import transitive_closure
from causalrep.precision import full_products


class ScoreBased(NamedTuple):
    """Latents named by the environment that intervenes on them.

    Attributes:
        unmixing: Encoder (d, p); the columns of its pseudo-inverse have a largest entry of magnitude 1.
        graph: Edges, (i, j) for ``i -> j`` (d, d), acyclic.
    """

    unmixing: Float[Array, "d p"]
    graph: Bool[Array, "d d"]


@full_products
def gaussian_score_changes(moments: Moments) -> Float[Array, "d d d"]:
    """R_e: second moments, over observational rows, of the change of the score in each environment, if Gaussian.

    The score of environment e is ``-Theta_e (x - mu_e)``.
    """
    precision, mean = moments.precision(), moments.mean
    slope = precision[1:] - precision[0]
    shift = jnp.einsum("eij,ej->ei", precision[1:], mean[1:] - mean[0])
    return slope @ moments.covariance[0] @ slope + shift[:, :, None] * shift[:, None, :]


@full_products
def lscale(
    moments: Moments, changes: Float[Array, "d d d"], *, tolerance: float = 1e-2, hard: bool = True
) -> ScoreBased:
    """The latents behind the changes of the scores.

    Args:
        moments: Of an observational and d interventional environments.
        changes: R_e of each interventional environment, in the basis of ``moments``; :func:`gaussian_score_changes`, or
            those of any estimate of the scores.
        tolerance: Mean squared change of the score from which a coordinate counts as a parent.
        hard: Interventions cut the parents: remove the ancestors' part from each latent.
    """
    encoder = _scaled(jnp.linalg.eigh(changes)[1][:, :, -1], moments.basis)
    graph, order = _acyclic(_signals(encoder, changes), tolerance)
    if hard:
        encoder = _scaled(_without_ancestors(encoder, moments, transitive_closure(graph)), moments.basis)
        again, _ = _acyclic(_signals(encoder, changes), tolerance, order)
        graph = graph & again
    return ScoreBased(encoder @ moments.basis.T, graph)


def _scaled(encoder: Float[Array, "d d"], basis: Float[Array, "p d"]) -> Float[Array, "d d"]:
    """The encoder whose decoder has columns with a largest entry of magnitude 1 in the observations' space."""
    largest = jnp.max(jnp.abs(basis @ _inverse(encoder)), axis=0)
    return encoder * largest[:, None]


def _signals(encoder: Float[Array, "d d"], changes: Float[Array, "d d d"]) -> Float[Array, "d d"]:
    """Mean squared change of the latents' score in coordinate i in environment j, at (i, j)."""
    decoder = _inverse(encoder)
    return jnp.einsum("ki,ekl,li->ie", decoder, changes, decoder)


def _acyclic(
    signals: Float[Array, "d d"], tolerance: float, order: Array | None = None
) -> tuple[Bool[Array, "d d"], Array]:
    """Edges above the tolerance that agree with a causal order; and that order, position of each latent.

    The order is greedy (ours): next comes the latent on which those that are left have the least signal.
    """
    d = len(signals)
    off_diagonal = jnp.where(jnp.eye(d, dtype=bool), 0.0, signals)
    if order is None:

        def take(left: Array, _: None) -> tuple[Array, Array]:
            incoming = jnp.sum(jnp.where(left[:, None], off_diagonal, 0.0), axis=0)
            chosen = jnp.argmin(jnp.where(left, incoming, jnp.inf))
            return left.at[chosen].set(False), chosen

        _, sequence = jax.lax.scan(take, jnp.ones(d, bool), length=d)
        order = jnp.argsort(sequence)
    return (off_diagonal >= tolerance) & (order[:, None] < order[None, :]), order


def _without_ancestors(
    encoder: Float[Array, "d d"], moments: Moments, ancestors: Bool[Array, "d d"]
) -> Float[Array, "d d"]:
    """Rows less their regression on the ancestors' rows, each in the environment that intervenes on its latent.

    There a latent is independent of its ancestors.
    """
    unit = jnp.eye(len(encoder), dtype=encoder.dtype)

    def row(e: Array) -> Array:
        among = ancestors[:, e]
        covariance = encoder @ moments.covariance[e + 1] @ encoder.T
        # Latents that are no ancestors get a unit equation each, hence the coefficient 0.
        normal = jnp.where(among[:, None] & among[None, :], covariance, 0.0) + jnp.where(among, 0.0, 1.0) * unit
        return encoder[e] - spd_solve(normal, jnp.where(among, covariance[:, e], 0.0)) @ encoder

    return jax.lax.map(row, jnp.arange(len(encoder)))


def _inverse(a: Float[Array, "d d"]) -> Float[Array, "d d"]:
    return jnp.linalg.solve(a, jnp.eye(len(a), dtype=a.dtype))
