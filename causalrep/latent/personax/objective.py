"""The loss of PersonaX: a variational bound, a price on edges between modalities, and agreement of measurements."""

import dataclasses
from functools import lru_cache

import jax
from jaxtyping import Array, Key, PyTree

from causalrep.latent.personax.model import Measurements, MultimodalSpec, MultimodalVAE
from causalrep.training import Objective


@dataclasses.dataclass(frozen=True)
class Weights:
    """Weights of the terms of the loss.

    Attributes:
        reconstruction: Weight of the mean squared error.
        divergence: Weight of the divergence of the posterior from the prior, in nats per row.
        sparsity: Price of each open gate between modalities: an edge stays if it saves ``sparsity / divergence`` nats
            per row.
        agreement: Weight of the squared distances between a modality's codes from different measurements.
    """

    reconstruction: float = 2.0
    divergence: float = 1e-2
    sparsity: float = 1e-3
    agreement: float = 1e-2


@lru_cache
def multimodal_objective(spec: MultimodalSpec, weights: Weights) -> Objective:
    """The weighted loss; the same object for the same arguments, so that compiled programs are reused.

    Batches are ``Measurements``; metrics are the terms that :class:`~.model.MultimodalVAE` returns, and ``error``.
    """
    module = MultimodalVAE(spec)

    def init(key: Key[Array, ""], batch: Measurements) -> PyTree:
        return module.init(key, jax.tree.map(lambda leaf: leaf[:2], batch), key)

    def loss(params: PyTree, key: Key[Array, ""], batch: Measurements) -> tuple[Array, dict[str, Array]]:
        error, terms = module.apply(params, batch, key)
        total = (
            weights.reconstruction * error
            + weights.divergence * terms["divergence"]
            + weights.agreement * terms["disagreement"]
        )
        if spec.causal:
            total += weights.sparsity * terms["open_gates"]
        return total, {"error": error, **terms}

    return Objective(init, loss)
