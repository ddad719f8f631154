"""Linear causal disentanglement from one hard intervention per latent (Squires, Seigal, Bhate, Uhler, ICML 2023).

With ``z = H x`` and ``B_e z = eps`` of unit variance, the precision of environment e is ``H' B_e' B_e H``. A hard
intervention on latent i changes row i of B_0 alone, so ``Theta_e - Theta_0`` has rank two in general and rank one for
roots; projected off the directions of its ancestors it has rank one for every latent. That identifies the latents,
roots first.

H is identified up to the scale and the order of its rows, and so is the graph, if the mixing is linear and injective,
the mechanisms are linear, no two environments intervene on the same latent, and every latent is intervened on.
Here causes come before effects; the paper numbers them the other way round.
"""

from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Bool, Float, Int

from causalrep.base.domains import Domain, Real, Whole
from causalrep.base.summary import Summary
from causalrep.latent.interventions.moments import LinearInterventional, Moments, latent_names, listed_parents
from causalrep.linalg import orthonormal_basis
from causalrep.precision import full_products


class Disentangled(NamedTuple):
    """Latents in a causal order, and their mechanisms.

    Attributes:
        unmixing: H (d, p), each row divided by its entry of largest magnitude.
        mechanism: B_0 (d, d), lower triangular.
        ancestors: Entry (i, j) is true if latent i is an ancestor of j (d, d).
        targets: The latent that each interventional environment acts on (d,).
    """

    unmixing: Float[Array, "d p"]
    mechanism: Float[Array, "d d"]
    ancestors: Bool[Array, "d d"]
    targets: Int[Array, " d"]


@full_products
def linear_disentanglement(moments: Moments, *, gamma: float = 0.99) -> Disentangled:
    """The latents behind covariances of an observational and d interventional environments.

    Args:
        moments: Moments of the environments, d + 1 of them for d latents.
        gamma: A matrix counts as rank one if its largest squared singular value is more than this share of their sum:
            0.99 for samples, 1 - 1e-8 for exact covariances.
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
    """Steps a and b of the paper: one direction q per latent, roots first, and the ancestors of each."""
    d = len(differences)
    node = jnp.arange(d)

    def next_latent(state: tuple[Array, Array, Array], label: Array) -> tuple[tuple[Array, Array, Array], None]:
        q, ancestors, free = state
        earlier = node < label

        def projected(environment: Array, chosen: Array) -> Array:
            """An environment's difference, projected off the chosen latents' directions."""
            off = _complement(q, chosen)
            return off @ differences[environment] @ off

        scores = jax.lax.map(lambda e: _rank_one_score(projected(e, earlier)), node)
        environment = jnp.argmax(jnp.where(free, scores, -jnp.inf))
        # If the rank is still one without projecting an earlier latent off, that latent is no ancestor.
        without = jax.lax.map(lambda f: _rank_one_score(projected(environment, earlier & (node != f))), node)
        direct = earlier & (without <= gamma)
        own = direct | jnp.any(direct[:, None] & ancestors, axis=0)
        values, vectors = jnp.linalg.eigh(projected(environment, own))
        q = q.at[label].set(vectors[:, jnp.argmax(jnp.abs(values))])
        return (q, ancestors.at[label].set(own), free.at[environment].set(False)), None

    # Row i of the second array holds the ancestors of i; the third marks environments that are not yet used.
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
    """Projection on the orthogonal complement of the chosen rows."""
    basis = orthonormal_basis(jnp.where(chosen[:, None], q, 0.0).T)
    return jnp.eye(len(q), dtype=q.dtype) - basis @ basis.T


def _rank_one_score(symmetric: Float[Array, "d d"]) -> Float[Array, ""]:
    squared = jnp.linalg.eigvalsh(symmetric) ** 2
    return jnp.max(squared) / jnp.maximum(jnp.sum(squared), jnp.finfo(squared.dtype).tiny)


class LinearDisentanglement(LinearInterventional):
    """Latents of a linear mixing from one hard intervention on each (Squires et al. 2023).

    Only covariances are used. The latents are identified up to scale and order if mixing and mechanisms are linear, and
    every environment but one intervenes on one latent, cutting it from its parents, no two on the same. There is no
    interval: a wrong rank decision changes the graph, and no sampling theory covers that; bootstrap the rows.

    Args:
        latents: Number of latents, and of interventional environments.
        gamma: Share of the squared singular values above which a matrix counts as rank one.

    Attributes:
        unmixing_: Latents are ``X @ unmixing_.T``; causes come first (latents, p).
        mechanism_: B of ``B z = eps`` in the observational environment, lower triangular (latents, latents).
        ancestors_: Entry (i, j) is true if latent i is an ancestor of j.
        targets_: The latent that each interventional environment acts on, by label.
        environments_: Labels, the observational one first.
        n_features_in_: Number of observed variables.

    >>> LinearDisentanglement(5)
    LinearDisentanglement(latents=5)
    """

    _domains: ClassVar[dict[str, Domain]] = {"latents": Whole(2), "gamma": Real(above=0.5, below=1)}

    def __init__(self, latents: int, *, gamma: float = 0.99):
        self.latents = latents
        self.gamma = gamma

    def fit(self, X: Any, environment: Any, *, observational: Any) -> Self:
        """Estimate unmixing, mechanisms and graph.

        Args:
            X: Observations (n, p).
            environment: Label of each row's environment (n,).
            observational: The label without intervention.

        Raises:
            InputError: If an argument is wrong, or there is not one interventional environment per latent.
        """
        self._check_domains()
        with self._computing():
            moments = self._moments(X, environment, observational)
            result = jax.tree.map(np.asarray, _disentangle(moments, self.gamma))
        self.unmixing_ = result.unmixing / self._scale
        self.mechanism_, self.ancestors_ = result.mechanism, result.ancestors
        self.targets_ = dict(zip(self.environments_[1:], map(int, result.targets), strict=True))
        return self

    def summary(self) -> Summary:
        """The causal order, the target of each environment, and the assumptions."""
        label_of = {target: label for label, target in self.targets_.items()}
        table = pd.DataFrame(
            {
                "intervened on in": [label_of[j] for j in range(self.latents)],
                "ancestors": listed_parents(self.ancestors_),
            },
            index=latent_names(self.latents),
        )
        notes = [
            "Assumed: linear mixing and mechanisms; one hard intervention on each latent, in one environment each.",
            "Latents have no names, and a scale by convention: the largest weight of an observation is 1.",
        ]
        return Summary("Linear causal disentanglement", self._facts(), table, notes)


@jax.jit
def _disentangle(moments: Moments, gamma: float) -> Disentangled:
    return linear_disentanglement(moments, gamma=gamma)
