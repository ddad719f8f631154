"""Identification through flows (iFlow, Li, Hooi, Lee, ICLR 2020): the model of the iVAE, by exact likelihood.

``z | u`` has independent Gaussian components whose means and variances depend on the segment u, and x is an invertible
function of z, learned as a flow. There is no bound and no decoder's noise, so losing a latent gains nothing.

As with the iVAE, each latent is identified up to order and a function of its own if the mixing is invertible, with as
many observed variables as latents, and the latents are independent given u, of an exponential family with k statistics
whose parameters vary enough over at least ``k d + 1`` segments. The flow and the table of moments are ours.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from causalrep.base.domains import Domain, Whole, Widths
from causalrep.latent.environments.door import as_labelled
from causalrep.latent.environments.network import FLOW, Network
from causalrep.latent.environments.rows import CodedRows
from causalrep.nn import Flow
from causalrep.training import Objective, Schedule
from causalrep.training.rows import InSchedule

LOG_2PI = 1.8378770664093453


class SegmentFlow(nn.Module):
    """A flow to latents that are independent and Gaussian in each segment.

    Attributes:
        latents: d, also the number of observed variables.
        segments: Number of segments.
        blocks: Nonlinear blocks of the flow; 0 for a linear unmixing.
        hidden: Widths of its couplings; ``()`` for blocks of monotone coordinates and linear maps alone.
    """

    latents: int
    segments: int
    blocks: int = 2
    hidden: tuple[int, ...] = (32, 32)

    def setup(self) -> None:
        """The flow, and a table of the latents' moments in each segment."""
        self.flow = Flow(self.blocks, self.hidden)
        shape = (self.segments, self.latents)
        self.mean = self.param("mean", nn.initializers.zeros, shape)
        self.log_scale = self.param("log_scale", nn.initializers.zeros, shape)

    def encode(self, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """Latents of rows; their segments are not needed."""
        return self.flow(x)[0]

    def __call__(self, x: Float[Array, "n d"], code: Int[Array, " n"]) -> Float[Array, " n"]:
        """Log density of each row in its segment, in nats."""
        z, log_volume = self.flow(x)
        residual = (z - self.mean[code]) * jnp.exp(-self.log_scale[code])
        return jnp.sum(-0.5 * (residual**2 + LOG_2PI) - self.log_scale[code], axis=1) + log_volume


@lru_cache
def segment_flow_objective(model: SegmentFlow) -> Objective:
    """Negative log-likelihood per row, in nats."""

    def init(key: Key[Array, ""], batch: CodedRows) -> Mapping:
        return model.init(key, batch.x, batch.code)

    def loss(params: Mapping, key: Key[Array, ""], batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        return -jnp.mean(batch.weight * model.apply(params, batch.x, batch.code)), {}

    return Objective(init, loss)


class IFlow(Network):
    """The model of the iVAE with a flow in place of the autoencoder: exact likelihood (iFlow, Li, Hooi, Lee 2020).

    Each latent is identified up to order and a function of its own if the mixing is invertible, with as many observed
    variables as latents, and the latents are independent and Gaussian in each segment, with means and variances that
    differ enough over at least ``2 d + 1`` segments; one segment identifies nothing.

    Args:
        blocks: Nonlinear blocks of the flow; 0 for a linear unmixing.
        hidden: Widths of the couplings; ``()`` for none.
        schedule: Steps, batch size, learning rate and restarts.
        seed: Random seed.

    Attributes:
        params_: Parameters of the flow and the segments' moments.
        validation_loss_: Negative log-likelihood of the held-out rows, in nats, of standardized observations.
        n_features_in_: Number of observed variables, and of latents.

    >>> IFlow(blocks=1)
    IFlow(blocks=1)
    """

    _schedule = FLOW
    _domains: ClassVar[dict[str, Domain]] = {
        "blocks": Whole(0),
        "hidden": Widths(),
        "schedule": InSchedule(FLOW),
        "seed": Whole(None),
    }

    def __init__(
        self, *, blocks: int = 2, hidden: tuple[int, ...] = (32, 32), schedule: Schedule = FLOW, seed: int = 0
    ):
        self.blocks = blocks
        self.hidden = hidden
        self.schedule = schedule
        self.seed = seed

    def fit(self, X: Any, segment: Any) -> Self:
        """Train on rows (n, d) with the label of each row's segment (n,)."""
        self._check_domains()
        rows = as_labelled("segment", X, segment)
        self.columns_ = rows.columns
        self.model_ = SegmentFlow(rows.x.shape[1], len(rows.labels), self.blocks, tuple(self.hidden))
        self._train(rows.x, rows.codes, segment_flow_objective(self.model_))
        return self
