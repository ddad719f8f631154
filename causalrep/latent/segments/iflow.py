"""Identification through flows (iFlow, Li, Hooi, Lee, ICLR 2020): the model of the iVAE, by exact likelihood.

``z | u`` has independent Gaussian components whose means and variances depend on the segment u, and x is an invertible
function of z, learned as a flow. There is no bound and no decoder's noise: nothing is gained by losing a latent.

Identified, as with the iVAE, up to order and a function of each latent, if the mixing is invertible, with as many
observed variables as latents, the latents are independent given u, of an exponential family of k statistics, and their
parameters vary enough over at least ``k d + 1`` segments. The flow and the table of moments are ours.
"""

from collections.abc import Mapping
from functools import lru_cache

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.latent.environments.rows import CodedRows
from causalrep.nn import Flow
from causalrep.training import Objective

LOG_2PI = 1.8378770664093453


class SegmentFlow(nn.Module):
    """A flow to latents, independent and Gaussian in each segment.

    Attributes:
        latents: d, also the number of observed variables.
        segments: How many.
        blocks: Nonlinear blocks of the flow; 0 for a linear unmixing.
        hidden: Widths of its couplings; ``()`` for blocks of monotone coordinates and linear maps alone.
    """

    latents: int
    segments: int
    blocks: int = 2
    hidden: tuple[int, ...] = (32, 32)

    def setup(self) -> None:
        """The flow, and the latents' moments."""
        self.flow = Flow(self.blocks, self.hidden)
        shape = (self.segments, self.latents)
        self.mean = self.param("mean", nn.initializers.zeros, shape)
        self.log_scale = self.param("log_scale", nn.initializers.zeros, shape)

    def encode(self, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """Latents of rows."""
        return self.flow(x)[0]

    def __call__(self, x: Float[Array, "n d"], code: Int[Array, " n"]) -> Float[Array, " n"]:
        """Log density of each row in its segment, in nats."""
        z, log_volume = self.flow(x)
        residual = (z - self.mean[code]) * jnp.exp(-self.log_scale[code])
        return jnp.sum(-0.5 * (residual**2 + LOG_2PI) - self.log_scale[code], axis=1) + log_volume


@lru_cache
def segment_flow_objective(model: SegmentFlow) -> Objective:
    """Minus the log-likelihood a row, in nats."""

    def init(key: Array, batch: CodedRows) -> Mapping:
        return model.init(key, batch.x, batch.code)

    def loss(params: Mapping, key: Array, batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        return -jnp.mean(batch.weight * model.apply(params, batch.x, batch.code)), {}

    return Objective(init, loss)


def encode(model: SegmentFlow, params: Mapping, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Latents of rows; their segments are not needed."""
    return model.apply(params, x, method=SegmentFlow.encode)
