"""Causal component analysis (Liang et al., NeurIPS 2023): a flow whose base density is a causal model with known graph.

In environment e the latents are linear and Gaussian on a known graph, but for the one whose known target e is: it has
no parents there and a mean and a variance of its own. All environments share the flow; the likelihood is exact.

Identified up to scale (and a shift) of each latent if mixing and densities are smooth and invertible, the graph and
the targets are known, and every latent is intervened on, hard, in one environment, by a change that is not one of
finitely many exceptions. A wrong graph or wrong targets give a wrong answer with confidence.
"""

from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from causalrep.latent.reference.rows import CodedRows
from causalrep.nn import Flow
from causalrep.training import Objective

LOG_2PI = 1.8378770664093453


class CausalFlow(nn.Module):
    """A flow to latents, and their density in every environment.

    Attributes:
        blocks: Nonlinear blocks of the flow; 0 for a linear unmixing.
        hidden: Widths of its couplings.
    """

    blocks: int = 3
    hidden: tuple[int, ...] = (32, 32)

    @nn.compact
    def __call__(
        self, x: Float[Array, "n d"], graph: Bool[Array, "d d"], targets: Int[Array, " k"]
    ) -> tuple[Float[Array, "n d"], Float[Array, "n environments"]]:
        """Latents, and the log density of each row in every environment.

        Args:
            x: Observations.
            graph: Edges, (i, j) for ``i -> j``.
            targets: The latent that each interventional environment acts on.
        """
        d = len(graph)
        z, log_volume = Flow(self.blocks, self.hidden)(x)
        effects = self.param("effects", nn.initializers.zeros, (d, d)) * graph.T
        mean = self.param("mean", nn.initializers.zeros, (len(targets),))
        log_scale = self.param("log_scale", nn.initializers.zeros, (len(targets),))
        # Observed mechanisms have unit variance and no intercept: the flow's last layer scales and shifts.
        observed = -0.5 * (z - z @ effects.T) ** 2
        intervened = -0.5 * ((z[:, targets] - mean) * jnp.exp(-log_scale)) ** 2 - log_scale
        everywhere = jnp.sum(observed, axis=1, keepdims=True)
        replaced = everywhere - observed[:, targets] + intervened
        density = jnp.concatenate([everywhere, replaced], axis=1)
        return z, density + log_volume[:, None] - 0.5 * d * LOG_2PI


def cauca_objective(model: CausalFlow, graph: Bool[Array, "d d"], targets: Int[Array, " k"]) -> Objective:
    """Minus the log-likelihood a row, in nats, every environment weighing the same."""

    def init(key: Array, batch: CodedRows) -> Mapping:
        return model.init(key, batch.x, graph, targets)

    def loss(params: Mapping, key: Array, batch: CodedRows) -> tuple[Array, Mapping[str, Array]]:
        _, density = model.apply(params, batch.x, graph, targets)
        own = jnp.take_along_axis(density, batch.code[:, None], axis=1)[:, 0]
        return -jnp.mean(batch.weight * own), {}

    return Objective(init, loss)


def latents_of(model: CausalFlow, params: Mapping, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Latents of rows."""
    # They depend on neither graph nor targets, once the flow is trained.
    d = x.shape[1]
    return model.apply(params, x, jnp.zeros((d, d), bool), jnp.arange(len(params["params"]["mean"])) * 0)[0]
