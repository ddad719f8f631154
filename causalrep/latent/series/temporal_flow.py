"""Latents that cause one another over time (LEAP, Yao et al., ICLR 2022), by the exact likelihood of a flow.

``z_t = f(z_{t-1}, ..., z_{t-L}) + eps_t`` with Laplace noises that are independent of one another, and x_t is an
invertible function of z_t. Each noise is the inverse of its latent's mechanism at the present, so the density of a time
step given its past is that of the noises times the determinant of the flow. LEAP maximizes a bound and adds a
discriminator that keeps the noises independent; here the likelihood itself requires that (ours).

Each latent is identified up to order and a function of its own if the mixing is invertible with as many observed
variables as latents, nothing acts within a time step, and the past moves the noises' distribution enough; linear
transitions of full rank with Laplace noises do (up to scale).
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from causalrep.base.domains import Domain, Whole, Widths
from causalrep.latent.environments.door import as_windows
from causalrep.latent.environments.network import FLOW, Network
from causalrep.latent.environments.rows import CodedRows
from causalrep.nn import MLP, Flow
from causalrep.training import Objective, Schedule
from causalrep.training.rows import InSchedule

LOG_2 = 0.6931471805599453


class TemporalFlowModel(nn.Module):
    """A flow to the latents of each time step, and their transitions.

    Attributes:
        latents: d, also the number of observed variables.
        transition: Widths of the transitions' perceptron; ``()`` for linear ones.
        blocks: Nonlinear blocks of the flow; 0 for a linear unmixing.
        hidden: Widths of its couplings; ``()`` for blocks of monotone coordinates and linear maps alone.
    """

    latents: int
    transition: tuple[int, ...] = ()
    blocks: int = 2
    hidden: tuple[int, ...] = (32, 32)

    def setup(self) -> None:
        """The flow, the transitions' means, and the noises' scales."""
        self.flow = Flow(self.blocks, self.hidden)
        self.mean = MLP((*self.transition, self.latents), activation=nn.leaky_relu)
        self.log_scale = self.param("log_scale", nn.initializers.zeros, (self.latents,))

    def encode(self, x: Float[Array, "... d"]) -> Float[Array, "... d"]:
        """Latents of rows, each from the observations of its own time step."""
        return self.flow(x)[0]

    def __call__(self, x: Float[Array, "n window d"]) -> Float[Array, " n"]:
        """Log density of a window's last time step given those before it, in nats."""
        z, log_volume = self.flow(x)
        past = z[:, :-1].reshape(len(z), -1)
        noise = (z[:, -1] - self.mean(past)) * jnp.exp(-self.log_scale)
        return jnp.sum(-jnp.abs(noise) - self.log_scale - LOG_2, axis=1) + log_volume[:, -1]


@lru_cache
def temporal_flow_objective(model: TemporalFlowModel) -> Objective:
    """Negative log-likelihood per time step, in nats; the rows of a batch hold windows."""

    def init(key: Key[Array, ""], batch: CodedRows) -> Mapping:
        return model.init(key, batch.x)

    def loss(params: Mapping, key: Key[Array, ""], batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        return -jnp.mean(batch.weight * model.apply(params, batch.x)), {}

    return Objective(init, loss)


def transition_matrices(params: Mapping, latents: int) -> Float[Array, "lags d d"]:
    """Matrices of linear transitions: entry (l, i, j) is the effect of latent i on latent j, l + 1 time steps later."""
    kernel = params["params"]["mean"]["Dense_0"]["kernel"]
    # The perceptron sees the past oldest step first.
    return kernel.reshape(-1, latents, latents)[::-1]


class TemporalFlow(Network):
    """Latents that cause one another over time, by the exact likelihood of a flow: ours after LEAP (Yao et al. 2022).

    Each latent is identified up to order and a function of its own if the mixing is invertible with as many observed
    variables as latents, nothing acts within a time step, and the past moves the noises' distribution enough; linear
    transitions of full rank with Laplace noises do, up to scale. Latents come in no particular order.

    Args:
        lags: Number of past time steps that act on the present.
        transition: Widths of the transitions' perceptron; ``()`` for linear ones.
        blocks: Nonlinear blocks of the flow; 0 for a linear unmixing.
        hidden: Widths of the couplings; ``()`` for none.
        schedule: Steps, batch size, learning rate and restarts.
        seed: Random seed.

    Attributes:
        params_: Parameters of the flow and the transitions.
        transitions_: Matrices of linear transitions (lags, d, d): entry (l, i, j) is the effect of latent i on latent
            j, l + 1 time steps later, in the units of ``transform``. ``None`` for a perceptron.
        validation_loss_: Negative log-likelihood of a held-out time step given its past, in nats, of standardized
            observations.
        n_features_in_: Number of observed variables, and of latents.

    >>> TemporalFlow(lags=1)
    TemporalFlow(lags=1)
    """

    _schedule = FLOW
    _domains: ClassVar[dict[str, Domain]] = {
        "lags": Whole(),
        "transition": Widths(),
        "blocks": Whole(0),
        "hidden": Widths(),
        "schedule": InSchedule(FLOW),
        "seed": Whole(None),
    }

    def __init__(
        self,
        *,
        lags: int = 2,
        transition: tuple[int, ...] = (),
        blocks: int = 2,
        hidden: tuple[int, ...] = (32, 32),
        schedule: Schedule = FLOW,
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
            series: Label of each row's series (n,), with consecutive rows for each; ``None`` for a single series.

        Raises:
            InputError: If an argument is wrong, a series is in pieces, or too few time steps have a whole past.
        """
        self._check_domains()
        transition, hidden = tuple(self.transition), tuple(self.hidden)
        windows, self.columns_ = as_windows(X, series, self.lags + 1)
        latents = windows.shape[2]
        self.model_ = TemporalFlowModel(latents, transition, self.blocks, hidden)
        self._train(windows, np.zeros(len(windows), np.int32), temporal_flow_objective(self.model_))
        self.transitions_ = None if transition else np.asarray(transition_matrices(self.params_, latents))
        return self
