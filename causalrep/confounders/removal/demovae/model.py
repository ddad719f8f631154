"""DemoVAE's networks, and the weights of the terms of its loss."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.confounders.removal.demographics import Layout
from causalrep.nn import trained_mlp


@dataclass(frozen=True)
class DemoVAEModel:
    """The networks and the weights of the loss.

    Attributes:
        layout: Coded columns of each demographic variable: 1 for a continuous one, else its number of levels.
        latents: L.
        hidden: Widths of the hidden layers of encoder and decoder.
        prior_variance: s^2, the variance of the latents; sampling draws from N(0, s^2 I).
        rank: r of the low-rank decoder, whose output is the strict upper triangle, row by row, of ``A A'`` with A
            (regions, r); 0 decodes directly.
        conditional: Give the demographics to the decoder. False, with ``demographics`` and ``guide`` 0, is an
            autoencoder with matched moments.
        conditional_encoder: Give them to the encoder too (not in the paper).
        reconstruction: Weight of L_rec, which is in the units of the data.
        covariance: Weight of L_cov.
        mean: Weight of L_mean.
        demographics: Weight of L_demo.
        guide: Weight of L_guide.
        hsic: Weight of a term against non-linear dependence that is not in the paper: n times the Hilbert-Schmidt
            independence criterion of latents and demographics, at a cost of n^2 per step.
    """

    layout: Layout
    latents: int = 60
    hidden: tuple[int, ...] = (1000,)
    prior_variance: float = 1.0
    rank: int = 0
    conditional: bool = True
    conditional_encoder: bool = False
    reconstruction: float = 100.0
    covariance: float = 1.0
    mean: float = 1.0
    demographics: float = 10.0
    guide: float = 0.001
    hsic: float = 0.0


class Networks(nn.Module):
    """Encoder and decoder of a :class:`DemoVAEModel`.

    Attributes:
        model: The model.
        columns: E, the number of columns of the data.
    """

    model: DemoVAEModel
    columns: int

    def setup(self) -> None:
        """The decoder's output are the rows of A if it has a low rank, otherwise the data."""
        model = self.model
        self.encoder_net = trained_mlp((*model.hidden, model.latents))
        width = regions(self.columns) * model.rank if model.rank else self.columns
        self.decoder_net = trained_mlp((*model.hidden, width))

    def __call__(self, x: Float[Array, "n e"], d: Float[Array, "n c"]) -> Float[Array, "n e"]:
        """The reconstruction."""
        return self.decode(self.encode(x, d), d)

    def encode(self, x: Float[Array, "n e"], d: Float[Array, "n c"]) -> Float[Array, "n l"]:
        """The latents; ``d`` is used only by a conditional encoder."""
        return self.encoder_net(jnp.column_stack([x, d]) if self.model.conditional_encoder else x)

    def decode(self, z: Float[Array, "n l"], d: Float[Array, "n c"]) -> Float[Array, "n e"]:
        """Data given latents and demographics."""
        out = self.decoder_net(jnp.column_stack([z, d]) if self.model.conditional else z)
        if not self.model.rank:
            return out
        # Entry (i, j) of A A' is the inner product of rows i and j of A; only i < j is wanted.
        count = regions(self.columns)
        a = out.reshape(-1, count, self.model.rank)
        rows, others = jnp.triu_indices(count, 1)
        return jnp.einsum("ner,ner->ne", a[:, rows], a[:, others])


def regions(edges: int) -> int:
    """R with R (R - 1) / 2 = ``edges``, rounded down if there is none."""
    return int((1 + (1 + 8 * edges) ** 0.5) / 2)
