"""Latents that cause one another over time (LEAP, Yao et al., ICLR 2022), by the exact likelihood of a flow.

``z_t = f(z_{t-1}, ..., z_{t-L}) + eps_t`` with noises that are independent of one another and Laplace, and x_t is an
invertible function of z_t. Each noise is the inverse of its latent's mechanism at the present, so that the density of a
step given its past is that of the noises, times the determinant of the flow. LEAP maximises a bound and adds a
discriminator that keeps noises independent; here the likelihood asks for that itself (ours).

Identified up to order and a function of each latent if the mixing is invertible with as many observed variables as
latents, nothing acts within a step, and the past moves the noises' distribution enough; linear transitions of full rank
with Laplace noises do (up to scale).
"""

from collections.abc import Mapping
from functools import lru_cache

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.latent.environments.rows import CodedRows
from causalrep.nn import MLP, Flow
from causalrep.training import Objective

LOG_2 = 0.6931471805599453


class TemporalFlowModel(nn.Module):
    """A flow to the latents of each step, and their transitions.

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
        """The flow, and the transitions."""
        self.flow = Flow(self.blocks, self.hidden)
        self.mean = MLP((*self.transition, self.latents), activation=nn.leaky_relu)
        self.log_scale = self.param("log_scale", nn.initializers.zeros, (self.latents,))

    def encode(self, x: Float[Array, "... d"]) -> Float[Array, "... d"]:
        """Latents of rows."""
        return self.flow(x)[0]

    def __call__(self, x: Float[Array, "n window d"]) -> Float[Array, " n"]:
        """Log density of a window's last step given those before it, in nats."""
        z, log_volume = self.flow(x)
        past = z[:, :-1].reshape(len(z), -1)
        noise = (z[:, -1] - self.mean(past)) * jnp.exp(-self.log_scale)
        return jnp.sum(-jnp.abs(noise) - self.log_scale - LOG_2, axis=1) + log_volume[:, -1]


@lru_cache
def temporal_flow_objective(model: TemporalFlowModel) -> Objective:
    """Minus the log-likelihood a step, in nats; rows hold windows."""

    def init(key: Array, batch: CodedRows) -> Mapping:
        return model.init(key, batch.x)

    def loss(params: Mapping, key: Array, batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        return -jnp.mean(batch.weight * model.apply(params, batch.x)), {}

    return Objective(init, loss)


def transition_matrices(params: Mapping, latents: int) -> Float[Array, "lags d d"]:
    """Of linear transitions: entry (l, i, j) is the effect of latent i on latent j, l + 1 steps later."""
    kernel = params["params"]["mean"]["Dense_0"]["kernel"]
    return kernel.reshape(-1, latents, latents)[::-1]


def encode(model: TemporalFlowModel, params: Mapping, x: Float[Array, "... d"]) -> Float[Array, "... d"]:
    """Latents of rows."""
    return model.apply(params, x, method=TemporalFlowModel.encode)
