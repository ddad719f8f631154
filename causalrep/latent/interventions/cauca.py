"""Causal component analysis (Liang et al., NeurIPS 2023): a flow whose base density is a causal model with known graph.

In environment e the latents are linear and Gaussian on a known graph, but for the one whose known target e is: it has
no parents there and a mean and a variance of its own. All environments share the flow; the likelihood is exact.

Identified up to scale and shift of each latent if mixing and densities are smooth and invertible, the graph and the
targets are known, and every latent is intervened on, hard, in one environment, by a change that is not one of
finitely many exceptions. A wrong graph or wrong targets give a wrong answer with confidence.
"""

from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from causalrep.latent.environments.rows import CodedRows
from causalrep.nn import Flow
from causalrep.training import Objective

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
        """The flow, and the mechanisms.

        Observed mechanisms have unit variance and no intercept: the flow's last layer scales and shifts.
        """
        self.flow = Flow(self.blocks, self.hidden)
        self.effects = self.param("effects", nn.initializers.zeros, (self.latents, self.latents))
        self.mean = self.param("mean", nn.initializers.zeros, (self.environments,))
        self.log_scale = self.param("log_scale", nn.initializers.zeros, (self.environments,))

    def encode(self, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """Latents of rows."""
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
        observed = -0.5 * (z - z @ (self.effects * graph.T).T) ** 2
        intervened = -0.5 * ((z[:, targets] - self.mean) * jnp.exp(-self.log_scale)) ** 2 - self.log_scale
        everywhere = jnp.sum(observed, axis=1, keepdims=True)
        density = jnp.concatenate([everywhere, everywhere - observed[:, targets] + intervened], axis=1)
        return density + log_volume[:, None] - 0.5 * self.latents * LOG_2PI


def cauca_objective(model: CausalFlow, graph: Bool[Array, "d d"], targets: Int[Array, " environments"]) -> Objective:
    """Minus the log-likelihood a row, in nats, every environment weighing the same."""

    def init(key: Array, batch: CodedRows) -> Mapping:
        return model.init(key, batch.x, graph, targets)

    def loss(params: Mapping, key: Array, batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        density = model.apply(params, batch.x, graph, targets)
        own = jnp.take_along_axis(density, batch.code[:, None], axis=1)[:, 0]
        return -jnp.mean(batch.weight * own), {}

    return Objective(init, loss)


def encode(model: CausalFlow, params: Mapping, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Latents of rows, in the order of the graph's nodes."""
    return model.apply(params, x, method=CausalFlow.encode)
