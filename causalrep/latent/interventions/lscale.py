"""Score-based causal representation learning, LSCALE-I (Varici, Acarturk, Shanmugam, Kumar, Tajer, JMLR 2025).

An intervention on latent i changes only its mechanism, so the score of the latents changes only in the coordinates of i
and of its parents; the score of ``x = G z`` changes only along the corresponding rows of ``G^+``. The method needs no
model of the latents, but their scores in every environment; for Gaussian ones two moments suffice.

The latents are identified if the mixing is linear and injective, no two environments intervene on the same latent, and
every latent is intervened on: with hard interventions the latents up to scale, and the graph; with soft ones each
latent up to adding its ancestors, and the graph's transitive closure. The number of an environment names the latent
that it acts on.
"""

from functools import partial
from typing import Any, ClassVar, NamedTuple, Self

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Bool, Float

from causalrep.base.domains import Domain, Flag, Real, Whole
from causalrep.base.summary import Summary
from causalrep.latent.interventions.moments import LinearInterventional, Moments, latent_names, listed_parents
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
    """R_e, the second moments over observational rows of the change of the score in each environment, if Gaussian.

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
        moments: Moments of an observational and d interventional environments.
        changes: R_e of each interventional environment, in the basis of ``moments``: those of
            :func:`gaussian_score_changes`, or of any estimate of the scores.
        tolerance: Mean squared change of the score from which a coordinate counts as a parent.
        hard: Whether interventions cut the parents; then the ancestors' part is removed from each latent.
    """
    chex.assert_equal_shape([changes, moments.covariance[1:]])
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
    """Entry (i, j) is the mean squared change of the latents' score in coordinate i in environment j."""
    decoder = _inverse(encoder)
    return jnp.einsum("ki,ekl,li->ie", decoder, changes, decoder)


def _acyclic(
    signals: Float[Array, "d d"], tolerance: float, order: Array | None = None
) -> tuple[Bool[Array, "d d"], Array]:
    """Edges above the tolerance that agree with a causal order, and that order: the position of each latent.

    The order is greedy (ours): next comes the latent on which the remaining ones have the least signal.
    """
    d = len(signals)
    off_diagonal = jnp.where(jnp.eye(d, dtype=bool), 0.0, signals)
    if order is None:

        def take(remaining: Array, _: None) -> tuple[Array, Array]:
            incoming = jnp.sum(jnp.where(remaining[:, None], off_diagonal, 0.0), axis=0)
            chosen = jnp.argmin(jnp.where(remaining, incoming, jnp.inf))
            return remaining.at[chosen].set(False), chosen

        _, sequence = jax.lax.scan(take, jnp.ones(d, bool), length=d)
        order = jnp.argsort(sequence)  # the inverse permutation: from a sequence of latents to positions
    return (off_diagonal >= tolerance) & (order[:, None] < order[None, :]), order


def _without_ancestors(
    encoder: Float[Array, "d d"], moments: Moments, ancestors: Bool[Array, "d d"]
) -> Float[Array, "d d"]:
    """Rows minus their regression on the ancestors' rows, each in the environment that intervenes on its latent.

    There a latent is independent of its ancestors.
    """
    unit = jnp.eye(len(encoder), dtype=encoder.dtype)

    def row(e: Array) -> Array:
        among = ancestors[:, e]
        covariance = encoder @ moments.covariance[e + 1] @ encoder.T
        # Latents that are not ancestors get an equation "coefficient = 0" each: shapes stay static.
        normal = jnp.where(among[:, None] & among[None, :], covariance, 0.0) + jnp.where(among, 0.0, 1.0) * unit
        return encoder[e] - spd_solve(normal, jnp.where(among, covariance[:, e], 0.0)) @ encoder

    return jax.lax.map(row, jnp.arange(len(encoder)))


def _inverse(a: Float[Array, "d d"]) -> Float[Array, "d d"]:
    return jnp.linalg.solve(a, jnp.eye(len(a), dtype=a.dtype))


class LSCALEI(LinearInterventional):
    """Latents of a linear mixing from the changes of Gaussian scores (LSCALE-I, Varici et al. 2025).

    The latents are identified if the mixing is linear and every environment but one intervenes on one latent, no two on
    the same: with hard interventions the latents up to scale, and the graph; with soft ones each latent up to adding
    its ancestors, and the transitive closure. Scores are those of Gaussian rows; :func:`causalrep.latent.lscale` takes
    any. There is no interval: thresholds decide on edges; bootstrap the rows.

    Args:
        latents: Number of latents, and of interventional environments.
        tolerance: Mean squared change of the score from which a latent counts as a parent.
        hard: Whether interventions cut the latent from its parents.

    Attributes:
        unmixing_: Latents are ``X @ unmixing_.T``; row i is the latent that interventional environment i acts on.
        graph_: Edges between them, (i, j) for ``i -> j``; those of the transitive closure for ``hard=False``.
        environments_: Labels, the observational one first.
        n_features_in_: Number of observed variables.

    >>> LSCALEI(5, hard=False)
    LSCALEI(hard=False, latents=5)
    """

    _domains: ClassVar[dict[str, Domain]] = {"latents": Whole(2), "tolerance": Real(above=0), "hard": Flag()}

    def __init__(self, latents: int, *, tolerance: float = 1e-2, hard: bool = True):
        self.latents = latents
        self.tolerance = tolerance
        self.hard = hard

    def fit(self, X: Any, environment: Any, *, observational: Any) -> Self:
        """Estimate unmixing and graph; arguments and errors are those of ``LinearDisentanglement.fit``.

        Args:
            X: Observations (n, p).
            environment: Label of each row's environment (n,).
            observational: The label without intervention.
        """
        self._check_domains()
        with self._computing():
            moments = self._moments(X, environment, observational)
            result = jax.tree.map(np.asarray, _scores(moments, self.tolerance, bool(self.hard)))
        self.unmixing_, self.graph_ = result.unmixing / self._scale, result.graph
        return self

    def summary(self) -> Summary:
        """The graph and the assumptions."""
        table = pd.DataFrame(
            {
                "intervened on in": self.environments_[1:],
                "parents" if self.hard else "ancestors": listed_parents(self.graph_),
            },
            index=latent_names(self.latents),
        )
        kind = "hard" if self.hard else "soft"
        notes = [
            f"Assumed: linear mixing; Gaussian rows; one {kind} intervention on each latent, in one environment each."
        ]
        if not self.hard:
            notes.append("Each latent is known up to adding multiples of its ancestors.")
        return Summary("Score-based causal representation (LSCALE-I)", self._facts(), table, notes)


@partial(jax.jit, static_argnums=2)
def _scores(moments: Moments, tolerance: float, hard: bool) -> ScoreBased:
    return lscale(moments, gaussian_score_changes(moments), tolerance=tolerance, hard=hard)
