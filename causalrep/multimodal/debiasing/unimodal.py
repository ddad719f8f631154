"""Unimodal debiasing, the usual comparators: a branch with one modality absorbs what that modality alone predicts.

With logits l of the classifier and logits b of the branch, whose own loss never reaches the backbone:

- ``"product"``: the loss of ``l + b``, a product of experts on the odds (after Clark, Yatskar and Zettlemoyer 2019);
  prediction by l, the log odds that the branch does not explain.
- ``"rubi"``: the loss of ``l sigmoid(b)`` (Cadene et al. 2019, RUBi); prediction by l.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import flax.linen as nn
import jax
from jaxtyping import Array, Float, Key, PyTree

from causalrep.base.domains import Choice
from causalrep.multimodal.debiasing.base import TwoModalityClassifier
from causalrep.multimodal.debiasing.two_streams import (
    SCHEDULE,
    Batch,
    Dense,
    Head,
    PlainNetworks,
    StreamSizes,
    TwoStreams,
    answer_loss,
    plain_objective,
    train_streams,
)
from causalrep.training import Objective
from causalrep.training.rows import Schedule
from causalrep.training.trained import Trained

Fusion = Literal["product", "rubi"]
Modality = Literal["first", "second"]


@dataclass(frozen=True)
class UnimodalModel:
    """The networks, and how the branch enters the loss.

    Attributes:
        sizes: Sizes of the networks.
        fusion: How the branch enters the loss.
        modality: The modality given to the branch.
    """

    sizes: StreamSizes
    fusion: Fusion = "product"
    modality: Modality = "first"


class UnimodalNetworks(nn.Module):
    """Backbone, head, and a branch of one modality.

    Attributes:
        model: The networks and their fusion.
    """

    model: UnimodalModel

    def setup(self) -> None:
        """The branch has its own token."""
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
        # The classifier must not train the branch, and the branch has no path to the backbone.
        fused = fuse(model.fusion, logits, jax.lax.stop_gradient(branch))
        return answer_loss(fused, batch["y"]) + answer_loss(branch, batch["y"]), {}

    return Objective(init, loss)


def fuse(fusion: Fusion, logits: Float[Array, "n a"], branch: Float[Array, "n a"]) -> Float[Array, "n a"]:
    """The logits that enter the loss."""
    return logits + branch if fusion == "product" else logits * jax.nn.sigmoid(branch)


class UnimodalDebiasing(TwoModalityClassifier):
    """Unimodal debiasing: a branch that is given one modality absorbs what this modality alone predicts.

    Args:
        fusion: ``"none"``, empirical risk minimization; ``"product"`` of experts; ``"rubi"``.
        modality: The modality given to the branch.
        tokens: Width of each modality's token.
        features: Width of the joint features.
        schedule: Training schedule, in epochs.
        seed: Random seed.

    Attributes:
        classes_: The answers, sorted.
        params_: Parameters of the networks.

    >>> import jax
    >>> from causalrep.data import prior_shift_vqa, vqa_prototypes
    >>> s = prior_shift_vqa(jax.random.key(1), vqa_prototypes(jax.random.key(0)), n=3000)
    >>> model = UnimodalDebiasing(schedule=Schedule(epochs=6)).fit(s.question, s.image, s.answer)
    >>> model.predict(s.question[:2], s.image[:2]).shape
    (2,)
    """

    _domains = TwoModalityClassifier._domains | {
        "fusion": Choice("none", *get_args(Fusion)),
        "modality": Choice(*get_args(Modality)),
    }

    def __init__(
        self,
        *,
        fusion: Fusion | Literal["none"] = "product",
        modality: Modality = "first",
        tokens: int = 64,
        features: int = 64,
        schedule: Schedule = SCHEDULE,
        seed: int = 0,
    ):
        self.fusion = fusion
        self.modality = modality
        self.tokens = tokens
        self.features = features
        self.schedule = schedule
        self.seed = seed

    def _train(self, key: Key[Array, ""], data: Batch, sizes: StreamSizes, schedule: Schedule) -> Trained:
        if self.fusion == "none":
            self._networks, objective = PlainNetworks(sizes), plain_objective(sizes)
        else:
            model = UnimodalModel(sizes, self.fusion, self.modality)
            self._networks, objective = UnimodalNetworks(model), unimodal_objective(model)
        return _program(key, data=data, objective=objective, schedule=schedule)

    def _logits(self, params: PyTree, first: Float[Array, "m a"], second: Float[Array, "m b"]) -> Float[Array, "m A"]:
        return self._networks.apply(params, first, second)[0]


_program = jax.jit(train_streams, static_argnames=("objective", "schedule"))
