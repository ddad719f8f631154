"""Causal component analysis (Liang et al., NeurIPS 2023): a flow whose base density is a causal model with known graph.

In environment e the latents are linear and Gaussian on a known graph, except the known target of e, which has no
parents there and a mean and a variance of its own. All environments share the flow; the likelihood is exact.

The latents are identified up to scale and shift of each if mixing and densities are smooth and invertible, the graph
and the targets are known, and every latent is intervened on, hard, in one environment, by a change that is not one of
finitely many exceptions. A wrong graph or wrong targets give a wrong answer with confidence.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from causalrep.base.domains import Domain, Whole, Widths
from causalrep.base.validation import as_matrix
from causalrep.errors import InputError
from causalrep.latent.environments.door import as_environments
from causalrep.latent.environments.network import FLOW, Network
from causalrep.latent.environments.rows import CodedRows
from causalrep.nn import Flow
from causalrep.training import Objective, Schedule
from causalrep.training.rows import InSchedule

LOG_2PI = 1.8378770664093453


class CausalFlow(nn.Module):
    """A flow to latents, and their density in every environment.

    Attributes:
        latents: d, also the number of observed variables.
        environments: Number of interventional environments.
        blocks: Nonlinear blocks of the flow; 0 for a linear unmixing.
        hidden: Widths of its couplings; ``()`` for blocks of monotone coordinates and linear maps alone.
    """

    latents: int
    environments: int
    blocks: int = 3
    hidden: tuple[int, ...] = (32, 32)

    def setup(self) -> None:
        """The flow and the mechanisms.

        Observed mechanisms have unit variance and no intercept, since the flow's last layer scales and shifts.
        """
        self.flow = Flow(self.blocks, self.hidden)
        self.effects = self.param("effects", nn.initializers.zeros, (self.latents, self.latents))
        self.mean = self.param("mean", nn.initializers.zeros, (self.environments,))
        self.log_scale = self.param("log_scale", nn.initializers.zeros, (self.environments,))

    def encode(self, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """Latents of rows, in the order of the graph's nodes."""
        return self.flow(x)[0]

    def __call__(
        self, x: Float[Array, "n d"], graph: Bool[Array, "d d"], targets: Int[Array, " environments"]
    ) -> Float[Array, "n 1+environments"]:
        """Log density of each row in the observational and in every interventional environment, in nats.

        Args:
            x: Observations.
            graph: Edges, (i, j) for ``i -> j``, without cycles.
            targets: The latent that each interventional environment acts on.
        """
        z, log_volume = self.flow(x)
        # Log density of each latent given its parents, without the constant.
        observed = -0.5 * (z - z @ (self.effects * graph.T).T) ** 2
        intervened = -0.5 * ((z[:, targets] - self.mean) * jnp.exp(-self.log_scale)) ** 2 - self.log_scale
        everywhere = jnp.sum(observed, axis=1, keepdims=True)
        # An environment exchanges its target's observed mechanism for the intervened one.
        density = jnp.concatenate([everywhere, everywhere - observed[:, targets] + intervened], axis=1)
        return density + log_volume[:, None] - 0.5 * self.latents * LOG_2PI


def cauca_objective(model: CausalFlow, graph: Bool[Array, "d d"], targets: Int[Array, " environments"]) -> Objective:
    """Negative log-likelihood per row, in nats; every environment has the same weight."""

    def init(key: Key[Array, ""], batch: CodedRows) -> Mapping:
        return model.init(key, batch.x, graph, targets)

    def loss(params: Mapping, key: Key[Array, ""], batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        density = model.apply(params, batch.x, graph, targets)
        own = jnp.take_along_axis(density, batch.code[:, None], axis=1)[:, 0]
        return -jnp.mean(batch.weight * own), {}

    return Objective(init, loss)


@lru_cache
def _cached_objective(model: CausalFlow, graph: tuple[tuple[bool, ...], ...], targets: tuple[int, ...]) -> Objective:
    # The same object for the same question, so that its compiled program is reused.
    return cauca_objective(model, jnp.array(graph), jnp.array(targets))


class AcyclicGraph:
    """The domain of adjacency matrices of acyclic graphs."""

    def check(self, argument: str, value: Any) -> None:
        """Refuse what is no square matrix, and cycles."""
        _acyclic(argument, value)

    def wrong(self) -> list[Any]:
        """Text, no matrix, a matrix that is not square, a cycle, a missing entry."""
        return ["graph", None, [[0, 1]], [[0, 1], [1, 0]], [[0, float("nan")], [0, 0]]]


class CauCA(Network):
    """Causal components of a known graph with known targets, by a normalizing flow (Liang et al. 2023).

    The latents are identified up to scale and shift of each if the mixing is smooth and invertible with as many
    observed variables as latents, mechanisms are linear and Gaussian, graph and targets are right, and each latent is
    intervened on, hard, in one environment. Only the likelihood tells a wrong graph or wrong targets from right ones:
    compare ``validation_loss_`` of the fits in question. ``transform`` gives the latents in the order of the graph's
    nodes.

    Args:
        graph: Adjacency matrix of the latents (d, d), (i, j) for ``i -> j``, acyclic.
        blocks: Nonlinear blocks of the flow; 0 for a linear unmixing.
        hidden: Widths of the couplings; ``()`` for none.
        schedule: Steps, batch size, learning rate and restarts.
        seed: Random seed.

    Attributes:
        params_: Parameters of the flow and the mechanisms.
        environments_: Labels, the observational one first.
        validation_loss_: Negative log-likelihood of the held-out rows, in nats, of standardized observations.
        n_features_in_: Number of observed variables.

    >>> CauCA([[0, 1], [0, 0]], blocks=0)
    CauCA(blocks=0, graph=[[0, 1], [0, 0]])
    """

    _schedule = FLOW
    _domains: ClassVar[dict[str, Domain]] = {
        "graph": AcyclicGraph(),
        "blocks": Whole(0),
        "hidden": Widths(),
        "schedule": InSchedule(FLOW),
        "seed": Whole(None),
    }

    def __init__(
        self,
        graph: Any,
        *,
        blocks: int = 3,
        hidden: tuple[int, ...] = (32, 32),
        schedule: Schedule = FLOW,
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
            InputError: If an argument is wrong, or targets are missing, unknown, or do not cover all latents.
        """
        self._check_domains()
        graph = _acyclic("graph", self.graph)
        x, self.columns_, codes, labels = as_environments(X, environment, observational)
        if x.shape[1] != len(graph):
            raise InputError("X", found=f"{x.shape[1]} columns", expected=f"{len(graph)}, one per node of the graph")
        chosen = _targets(targets, labels, len(graph))
        self.environments_ = labels
        self.model_ = CausalFlow(len(graph), len(chosen), self.blocks, tuple(self.hidden))
        self._train(x, codes, _cached_objective(self.model_, tuple(map(tuple, graph.tolist())), chosen))
        return self


def _acyclic(argument: str, graph: Any) -> np.ndarray:
    adjacency, _ = as_matrix(argument, graph)
    if adjacency.shape[0] != adjacency.shape[1]:
        raise InputError(argument, found=f"shape {adjacency.shape}", expected="a square adjacency matrix")
    adjacency = adjacency != 0
    # A graph with d nodes has a cycle exactly if it has a walk of d edges.
    if np.linalg.matrix_power(adjacency.astype(int), len(adjacency)).any():
        raise InputError(argument, found="a cycle", expected="an acyclic graph")
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
