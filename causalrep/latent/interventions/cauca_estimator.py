"""The façades of the methods that fit a flow by exact likelihood: as many latents as observed variables."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Self

import jax.numpy as jnp
import numpy as np

from causalrep.base.validation import as_matrix, check_range
from causalrep.errors import InputError
from causalrep.latent.environments.door import as_environments, as_labelled, as_windows
from causalrep.latent.environments.rows import Schedule
from causalrep.latent.interventions import cauca
from causalrep.latent.segments import iflow as segment_flow
from causalrep.latent.segments.estimators import Network
from causalrep.latent.series import temporal_flow
from causalrep.training import Objective

# Flows of these sizes bear large steps, and with small ones do not leave the start's neighbourhood.
RESTARTED = Schedule(learning_rate=2e-2, restarts=3)


class CauCA(Network):
    """Causal components of a known graph with known targets, by a normalising flow (Liang et al. 2023).

    Identified up to scale and shift of each latent if the mixing is smooth and invertible with as many observed
    variables as latents, mechanisms are linear and Gaussian, graph and targets are right, and each latent is intervened
    on, hard, in one environment. Nothing but the likelihood tells a wrong graph or wrong targets from right ones:
    compare ``validation_loss_`` of the fits in question.

    Args:
        graph: Adjacency matrix of the latents (d, d), (i, j) for ``i -> j``, acyclic.
        blocks: Nonlinear blocks of the flow; 0 for a linear unmixing.
        hidden: Widths of the couplings; ``()`` for none.
        schedule: Of the training.
        seed: Of all randomness.

    Attributes:
        params_: Of the flow and the mechanisms.
        environments_: Labels, the observational one first.
        validation_loss_: Minus the log-likelihood of the held-out rows, in nats, of standardised observations.
        n_features_in_: Number of observed variables.

    >>> CauCA([[0, 1], [0, 0]], blocks=0)
    CauCA(blocks=0, graph=[[0, 1], [0, 0]])
    """

    def __init__(
        self,
        graph: Any,
        *,
        blocks: int = 3,
        hidden: tuple[int, ...] = (32, 32),
        schedule: Schedule = RESTARTED,
        seed: int = 0,
    ):
        self.graph = graph
        self.blocks = blocks
        self.hidden = hidden
        self.schedule = schedule
        self.seed = seed

    def fit(self, X: Any, environment: Any, *, observational: Any, targets: Mapping[Any, int] | None = None) -> Self:
        """Train.

        Args:
            X: Observations (n, d).
            environment: Label of each row's environment (n,).
            observational: The label without intervention.
            targets: The latent, from 0, that each other environment intervenes on, by label. Without it nothing is
                identified, and the fit is refused.

        Raises:
            InputError: If an argument is wrong, or targets are missing, unknown, or leave a latent out.
        """
        graph = _acyclic(self.graph)
        self._check(len(graph))
        check_range("blocks", self.blocks, at_least=0)
        x, codes, labels = as_environments(X, environment, observational)
        _check_square(x, len(graph), "node of the graph")
        chosen = _targets(targets, labels, len(graph))
        self.environments_ = labels
        self.model_ = cauca.CausalFlow(len(graph), len(chosen), self.blocks, tuple(self.hidden))
        self._train(x, codes, _cauca_objective(self.model_, tuple(map(tuple, graph.tolist())), chosen))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Latents of rows (n, d), in the order of the graph's nodes."""
        x = self._standardized(X)
        return np.asarray(cauca.encode(self.model_, self.params_, x))


class IFlow(Network):
    """The model of the iVAE, with a flow in place of an autoencoder: exact likelihood (iFlow, Li, Hooi, Lee 2020).

    Identified up to order and a function of each latent if the mixing is invertible, with as many observed variables as
    latents, and the latents are independent and Gaussian in each segment, with means and variances that differ enough
    over at least ``2 d + 1`` of them; one segment identifies nothing.

    Args:
        blocks: Nonlinear blocks of the flow; 0 for a linear unmixing.
        hidden: Widths of the couplings; ``()`` for none.
        schedule: Of the training.
        seed: Of all randomness.

    Attributes:
        params_: Of the flow and the segments' moments.
        validation_loss_: Minus the log-likelihood of the held-out rows, in nats, of standardised observations.
        n_features_in_: Number of observed variables, and of latents.

    >>> IFlow(blocks=1)
    IFlow(blocks=1)
    """

    def __init__(
        self, *, blocks: int = 2, hidden: tuple[int, ...] = (32, 32), schedule: Schedule = RESTARTED, seed: int = 0
    ):
        self.blocks = blocks
        self.hidden = hidden
        self.schedule = schedule
        self.seed = seed

    def fit(self, X: Any, segment: Any) -> Self:
        """Train on rows (n, d) with the label of each row's segment (n,)."""
        check_range("blocks", self.blocks, at_least=0)
        x, codes = as_labelled("segment", X, segment)
        self._check(x.shape[1])
        self.model_ = segment_flow.SegmentFlow(x.shape[1], int(codes.max()) + 1, self.blocks, tuple(self.hidden))
        self._train(x, codes, segment_flow.segment_flow_objective(self.model_))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Latents of rows (n, d)."""
        x = self._standardized(X)
        return np.asarray(segment_flow.encode(self.model_, self.params_, x))


class TemporalFlow(Network):
    """Latents that cause one another over time, by the exact likelihood of a flow: ours after LEAP (Yao et al. 2022).

    Identified up to order and a function of each latent if the mixing is invertible with as many observed variables as
    latents, nothing acts within a step, and the past moves the noises' distribution enough; linear transitions of full
    rank with Laplace noises do, up to scale. Latents come in no order.

    Args:
        lags: Past steps that act on the present.
        transition: Widths of the transitions' perceptron; ``()`` for linear ones.
        blocks: Nonlinear blocks of the flow; 0 for a linear unmixing.
        hidden: Widths of the couplings; ``()`` for none.
        schedule: Of the training.
        seed: Of all randomness.

    Attributes:
        params_: Of the flow and the transitions.
        transitions_: Matrices of linear transitions (lags, d, d): entry (l, i, j) is the effect of latent i on latent
            j, l + 1 steps later, in the units of ``transform``. ``None`` for a perceptron.
        validation_loss_: Minus the log-likelihood of a held-out step given its past, in nats, of standardised
            observations.
        n_features_in_: Number of observed variables, and of latents.

    >>> TemporalFlow(lags=1)
    TemporalFlow(lags=1)
    """

    def __init__(
        self,
        *,
        lags: int = 2,
        transition: tuple[int, ...] = (),
        blocks: int = 2,
        hidden: tuple[int, ...] = (32, 32),
        schedule: Schedule = RESTARTED,
        seed: int = 0,
    ):
        self.lags = lags
        self.transition = transition
        self.blocks = blocks
        self.hidden = hidden
        self.schedule = schedule
        self.seed = seed

    def fit(self, X: Any, series: Any = None) -> Self:
        """Train.

        Args:
            X: Observations (n, d) in the order of time, at equal intervals.
            series: Label of each row's series (n,), rows of one series together; ``None`` for a single series.

        Raises:
            InputError: If an argument is wrong, a series is in pieces, or too few steps have a whole past.
        """
        check_range("lags", self.lags, at_least=1)
        check_range("blocks", self.blocks, at_least=0)
        windows = as_windows(X, series, self.lags + 1)
        latents = windows.shape[2]
        self._check(latents)
        self.model_ = temporal_flow.TemporalFlowModel(latents, tuple(self.transition), self.blocks, tuple(self.hidden))
        objective = temporal_flow.temporal_flow_objective(self.model_)
        self._train(windows, np.zeros(len(windows), np.int32), objective)
        self.transitions_ = None
        if not self.transition:
            self.transitions_ = np.asarray(temporal_flow.transition_matrices(self.params_, latents))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Latents of rows (n, d), each from the observations of its own step."""
        x = self._standardized(X)
        return np.asarray(temporal_flow.encode(self.model_, self.params_, x))


@lru_cache
def _cauca_objective(model: cauca.CausalFlow, graph: tuple, targets: tuple[int, ...]) -> Objective:
    """The same object for the same question, so that its program is kept."""
    return cauca.cauca_objective(model, jnp.array(graph), jnp.array(targets))


def _check_square(x: np.ndarray, latents: int, each: str) -> None:
    if x.shape[1] != latents:
        raise InputError("X", found=f"{x.shape[1]} columns", expected=f"{latents}, one for each {each}")


def _acyclic(graph: Any) -> np.ndarray:
    adjacency, _ = as_matrix("graph", graph)
    if adjacency.shape[0] != adjacency.shape[1]:
        raise InputError("graph", found=f"shape {adjacency.shape}", expected="a square adjacency matrix")
    adjacency = adjacency != 0
    # A graph has a cycle if some walk is as long as it has nodes.
    if np.linalg.matrix_power(adjacency.astype(int), len(adjacency)).any():
        raise InputError("graph", found="a cycle", expected="an acyclic graph")
    return adjacency


def _targets(targets: Mapping[Any, int] | None, labels: Sequence, d: int) -> tuple[int, ...]:
    if targets is None:
        raise InputError("targets", found="None", expected="the latent that each environment intervenes on, by label")
    missing = [label for label in labels[1:] if label not in targets]
    if missing:
        raise InputError("targets", found=f"none for the environments {missing}", expected="one for each")
    chosen = tuple(int(targets[label]) for label in labels[1:])
    if set(chosen) != set(range(d)):
        raise InputError("targets", found=f"{sorted(set(chosen))}", expected=f"every latent from 0 to {d - 1}")
    return chosen
