"""The façades of the methods for linear mixings: closed forms of the environments' means and covariances."""

from functools import partial
from typing import Any, Self

import jax
import numpy as np
import pandas as pd

from causalrep.base.estimator import Estimator
from causalrep.base.summary import Summary
from causalrep.base.validation import check_range
from causalrep.errors import InputError
from causalrep.latent.environments.door import as_environments, as_rows, check_one_per_latent
from causalrep.latent.interventions.disentanglement import linear_disentanglement
from causalrep.latent.interventions.lscale import gaussian_score_changes, lscale
from causalrep.latent.interventions.moments import Moments, ragged_moments
from causalrep.precision import float64


class _LinearInterventional(Estimator):
    """What both have: moments in, a linear encoder out."""

    def _moments(self, X: Any, environment: Any, observational: Any) -> Moments:
        check_range("latents", self.latents, at_least=2)
        x, codes, labels = as_environments(X, environment, observational)
        check_one_per_latent(self.latents, labels)
        if x.shape[1] < self.latents:
            raise InputError("X", found=f"{x.shape[1]} columns", expected=f"at least {self.latents}, one a latent")
        self.environments_, self.n_features_in_, self.n_obs_ = labels, x.shape[1], len(x)
        moments = ragged_moments(x, codes, self.latents)
        values = np.linalg.eigvalsh(np.asarray(moments.covariance)).min(axis=1)
        total = np.trace(np.asarray(moments.covariance), axis1=1, axis2=2)
        singular = values <= 1e-10 * total
        if singular.any():
            label = labels[int(np.argmax(singular))]
            raise InputError(
                "X",
                found=f"fewer than {self.latents} dimensions in environment {label!r}",
                expected=f"{self.latents}, as many as latents",
            )
        return moments

    def transform(self, X: Any) -> np.ndarray:
        """Latents of rows (n, latents)."""
        unmixing = self.unmixing_
        return as_rows(X, self.n_features_in_) @ unmixing.T

    def _facts(self) -> list[tuple[str, str]]:
        return [
            ("Observational environment", repr(self.environments_[0])),
            ("Interventional environments", ", ".join(map(repr, self.environments_[1:]))),
            ("Rows", str(self.n_obs_)),
        ]


class LinearDisentanglement(_LinearInterventional):
    """Latents of a linear mixing from one hard intervention on each (Squires et al. 2023).

    It sees covariances alone. Identified, up to the latents' scale and order, if mixing and mechanisms are linear,
    every environment but one intervenes on one latent, cutting it from its parents, and no two on the same. No
    interval: a wrong rank decision changes the graph, and no sampling theory covers it; bootstrap the rows.

    Args:
        latents: How many, also the number of interventional environments.
        gamma: Share of squared singular values from which a matrix has rank one.

    Attributes:
        unmixing_: Latents are ``X @ unmixing_.T``; causes come first (latents, p).
        mechanism_: B of ``B z = eps`` in the observational environment, lower triangular (latents, latents).
        ancestors_: (i, j) if latent i is an ancestor of j.
        targets_: The latent that each interventional environment acts on, by label.
        environments_: Labels, the observational one first.
        n_features_in_: Number of observed variables.

    >>> LinearDisentanglement(5)
    LinearDisentanglement(latents=5)
    """

    def __init__(self, latents: int, *, gamma: float = 0.99):
        self.latents = latents
        self.gamma = gamma

    def fit(self, X: Any, environment: Any, *, observational: Any) -> Self:
        """Find the latents.

        Args:
            X: Observations (n, p).
            environment: Label of each row's environment (n,).
            observational: The label without intervention.

        Raises:
            InputError: If an argument is wrong, or there is not one interventional environment a latent.
        """
        check_range("gamma", self.gamma, above=0.5, below=1)
        with float64():
            moments = self._moments(X, environment, observational)
            found = jax.tree.map(np.asarray, _disentangle(moments, self.gamma))
        self.unmixing_, self.mechanism_, self.ancestors_ = found.unmixing, found.mechanism, found.ancestors
        self.targets_ = dict(zip(self.environments_[1:], map(int, found.targets), strict=True))
        return self

    def summary(self) -> Summary:
        """The causal order, what each environment acts on, and the assumptions."""
        parents = [", ".join(f"z{i}" for i in np.flatnonzero(self.ancestors_[:, j])) for j in range(self.latents)]
        acts = {target: label for label, target in self.targets_.items()}
        table = pd.DataFrame(
            {"intervened on in": [acts[j] for j in range(self.latents)], "ancestors": parents},
            index=[f"z{j}" for j in range(self.latents)],
        )
        notes = [
            "Assumed: linear mixing and mechanisms; one hard intervention on each latent, in one environment each.",
            "Latents have no names, and a scale by convention: the largest weight of an observation is 1.",
        ]
        return Summary("Linear causal disentanglement", self._facts(), table, notes)


class LSCALEI(_LinearInterventional):
    """Latents of a linear mixing from the changes of Gaussian scores (LSCALE-I, Varici et al. 2025).

    Identified if the mixing is linear, and every environment but one intervenes on one latent, no two on the same: with
    hard interventions the latents up to scale, and the graph; with soft ones each latent up to adding its ancestors,
    and the transitive closure. Scores are those of Gaussian rows; :func:`causalrep.latent.lscale` takes any. No
    interval: thresholds decide on edges; bootstrap the rows.

    Args:
        latents: How many, also the number of interventional environments.
        tolerance: Mean squared change of the score from which a latent counts as a parent.
        hard: Interventions cut the latent from its parents.

    Attributes:
        unmixing_: Latents are ``X @ unmixing_.T``; row i is the latent that interventional environment i acts on.
        graph_: Edges between them, (i, j) for ``i -> j``; of the transitive closure where ``hard=False``.
        environments_: Labels, the observational one first.
        n_features_in_: Number of observed variables.

    >>> LSCALEI(5, hard=False)
    LSCALEI(hard=False, latents=5)
    """

    def __init__(self, latents: int, *, tolerance: float = 1e-2, hard: bool = True):
        self.latents = latents
        self.tolerance = tolerance
        self.hard = hard

    def fit(self, X: Any, environment: Any, *, observational: Any) -> Self:
        """Find the latents.

        Args:
            X: Observations (n, p).
            environment: Label of each row's environment (n,).
            observational: The label without intervention.

        Raises:
            InputError: If an argument is wrong, or there is not one interventional environment a latent.
        """
        check_range("tolerance", self.tolerance, above=0)
        with float64():
            moments = self._moments(X, environment, observational)
            found = jax.tree.map(np.asarray, _scores(moments, self.tolerance, bool(self.hard)))
        self.unmixing_, self.graph_ = found.unmixing, found.graph
        return self

    def summary(self) -> Summary:
        """The graph and the assumptions."""
        parents = [", ".join(f"z{i}" for i in np.flatnonzero(self.graph_[:, j])) for j in range(self.latents)]
        table = pd.DataFrame(
            {"intervened on in": self.environments_[1:], "parents" if self.hard else "ancestors": parents},
            index=[f"z{j}" for j in range(self.latents)],
        )
        kind = "hard" if self.hard else "soft"
        notes = [
            f"Assumed: linear mixing; Gaussian rows; one {kind} intervention on each latent, in one environment each."
        ]
        if not self.hard:
            notes.append("Each latent is known up to adding multiples of its ancestors.")
        return Summary("Score-based causal representation (LSCALE-I)", self._facts(), table, notes)


@jax.jit
def _disentangle(moments: Moments, gamma: float):
    return linear_disentanglement(moments, gamma=gamma)


@partial(jax.jit, static_argnums=2)
def _scores(moments: Moments, tolerance: float, hard: bool):
    return lscale(moments, gaussian_score_changes(moments), tolerance=tolerance, hard=hard)
