"""Unimodal debiasing, the usual comparators: a branch that sees one modality soaks up what that one alone predicts.

With main logits l and those b of the branch, whose own loss never reaches the backbone:

- ``"product"``: the loss is that of ``l + b``, a product of experts on the odds (after Clark, Yatskar and Zettlemoyer
  2019); prediction by l, the log odds that the branch does not explain.
- ``"rubi"``: the loss is that of ``l sigmoid(b)`` (Cadene et al. 2019, RUBi); prediction by l.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import flax.linen as nn
import jax
from jaxtyping import Array, Float, PyTree

from causalrep.multimodal.debiasing.two_streams import Batch, Dense, Head, StreamSizes, TwoStreams, answer_loss
from causalrep.training import Objective

Fusion = Literal["product", "rubi"]
Modality = Literal["first", "second"]


@dataclass(frozen=True)
class UnimodalModel:
    """What is trained.

    Attributes:
        sizes: Widths.
        fusion: How the branch enters the loss.
        modality: Which one the branch sees.
    """

    sizes: StreamSizes
    fusion: Fusion = "product"
    modality: Modality = "first"


class UnimodalNetworks(nn.Module):
    """Backbone, head, and a branch of one modality.

    Attributes:
        model: What is trained.
    """

    model: UnimodalModel

    def setup(self) -> None:
        """The branch has a token of its own."""
        self.backbone, self.head = TwoStreams(self.model.sizes), Head(self.model.sizes.answers)
        self.branch_token, self.branch_head = Dense(self.model.sizes.tokens), Head(self.model.sizes.answers)

    def __call__(self, first: Float[Array, "n a"], second: Float[Array, "n b"]) -> tuple[Array, Array]:
        """Logits of the classifier and of the branch, each (n, A)."""
        seen = first if self.model.modality == "first" else second
        return self.head(self.backbone(first, second)), self.branch_head(nn.tanh(self.branch_token(seen)))


@lru_cache
def unimodal_objective(model: UnimodalModel) -> Objective:
    """The fused loss plus that of the branch; batches hold ``first``, ``second`` and targets ``y`` (n, A)."""
    networks = UnimodalNetworks(model)

    def init(key: jax.Array, batch: Batch) -> PyTree:
        return networks.init(key, batch["first"][:1], batch["second"][:1])

    def loss(params: PyTree, key: jax.Array, batch: Batch):
        logits, branch = networks.apply(params, batch["first"], batch["second"])
        fused = fuse(model.fusion, logits, jax.lax.stop_gradient(branch))
        return answer_loss(fused, batch["y"]) + answer_loss(branch, batch["y"]), {}

    return Objective(init, loss)


def fuse(fusion: Fusion, logits: Float[Array, "n a"], branch: Float[Array, "n a"]) -> Float[Array, "n a"]:
    """The logits that are trained."""
    return logits + branch if fusion == "product" else logits * jax.nn.sigmoid(branch)
