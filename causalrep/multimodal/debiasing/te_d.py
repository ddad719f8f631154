"""TE-D: the features of a biased classifier with the least information are taken for its confounders, and subtracted.

    z = squeeze(stop_gradient(x)),  r = W z                  confounder representation
    f = relu(normalised(x - r)),    l = head(f),  l_c = head_c(r)
    L = ce(l, y) + ce(l_c, y) + k R(r) + contrast,           R: the coding rate;  k = min(1, c ce(l_c, y) / R(r))
    contrast = mean -log e^{cos(x, f)} / (e^{cos(x, f)} + e^{cos(x, r)})

The prediction is ``l``, or the total effect ``l - l_c``. **That the simplest predictive features are the confounders is
a heuristic**: nothing identifies a confounder here, and where a true cause is simpler than the bias it is removed.

Patil, Maharana and Bansal (2023), "Debiasing Multimodal Models via Causal Information Minimization", Findings of EMNLP;
as in the authors' code. The sign of the rate matters: it is minimised.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from causalrep.multimodal.debiasing.coding_rate import coding_rate
from causalrep.multimodal.debiasing.two_streams import (
    Batch,
    Dense,
    Head,
    StreamSizes,
    StreamTraining,
    TwoStreams,
    answer_loss,
    train_streams,
    uniform,
)
from causalrep.training import FitResult, Objective


@dataclass(frozen=True)
class TEDModel:
    """What is trained.

    Attributes:
        sizes: Widths.
        shrink: The squeezed features have ``features / shrink`` columns.
        rate: c, the share of the confounder's loss up to which its rate weighs; 0 leaves the rate out (an ablation).
        eps: The rate's distortion.
        contrastive: Debias the features too, by the contrastive term. Without, the head sees x, and r is z itself.
    """

    sizes: StreamSizes
    shrink: int = 4
    rate: float = 0.25
    eps: float = 0.01
    contrastive: bool = True


class TEDOutput(NamedTuple):
    """What the networks make of a batch.

    Attributes:
        features: x (n, d).
        confounder: r (n, d), or (n, d / shrink) without the contrastive term.
        debiased: f (n, d); x without the contrastive term.
        logits: l (n, A).
        confounder_logits: l_c (n, A).
    """

    features: Float[Array, "n d"]
    confounder: Float[Array, "n c"]
    debiased: Float[Array, "n d"]
    logits: Float[Array, "n a"]
    confounder_logits: Float[Array, "n a"]

    @property
    def total_effect(self) -> Float[Array, "n a"]:
        """``l - l_c``."""
        return self.logits - self.confounder_logits


class TEDNetworks(nn.Module):
    """Backbone, confounder branch and heads.

    Attributes:
        model: What is trained.
    """

    model: TEDModel

    def setup(self) -> None:
        """Layers as in the authors' code."""
        sizes = self.model.sizes
        self.backbone = TwoStreams(sizes)
        self.squeeze = [Dense(sizes.features), Dense(sizes.features // self.model.shrink)]
        self.norm = nn.LayerNorm(epsilon=1e-12)
        self.head, self.confounder_head = Head(sizes.answers), Head(sizes.answers)
        if self.model.contrastive:
            self.remap, self.debias = Dense(sizes.features), NormalisedDense(sizes.features)

    def __call__(self, first: Float[Array, "n a"], second: Float[Array, "n b"]) -> TEDOutput:
        """All outputs."""
        x = self.backbone(first, second)
        z = jax.lax.stop_gradient(x)
        for layer in self.squeeze:
            z = nn.gelu(layer(z), approximate=False)
        z = self.norm(z)
        r = self.remap(z) if self.model.contrastive else z
        f = nn.relu(self.debias(x - r)) if self.model.contrastive else x
        return TEDOutput(x, r, f, self.head(f), self.confounder_head(r))


class NormalisedDense(nn.Module):
    """A dense layer whose weight matrix is a direction times one scalar.

    Attributes:
        width: Of its output.
    """

    width: int

    @nn.compact
    def __call__(self, x: Float[Array, "n d"]) -> Float[Array, "n w"]:
        """``x (g V / |V|) + b``."""
        v = self.param("direction", uniform(x.shape[1]), (x.shape[1], self.width))
        g = self.param("length", lambda _: jnp.linalg.norm(v))
        return x @ (g * v / jnp.linalg.norm(v)) + self.param("bias", uniform(x.shape[1]), (self.width,))


@lru_cache
def ted_objective(model: TEDModel) -> Objective:
    """L of the module's docstring; batches hold ``first``, ``second`` and targets ``y`` (n, A)."""
    networks = TEDNetworks(model)

    def init(key: jax.Array, batch: Batch) -> PyTree:
        return networks.init(key, batch["first"][:1], batch["second"][:1])

    def loss(params: PyTree, key: jax.Array, batch: Batch):
        out = networks.apply(params, batch["first"], batch["second"])
        confounder = answer_loss(out.confounder_logits, batch["y"])
        total = answer_loss(out.logits, batch["y"]) + confounder
        if model.rate > 0:
            rate = coding_rate(out.confounder, model.eps)
            # min(1, c ce / R) without a quotient that overflows where R is 0.
            limit = model.rate * jnp.abs(confounder)
            weight = jnp.where(limit < rate, limit / jnp.where(rate > 0, rate, 1.0), 1.0)
            total += jax.lax.stop_gradient(weight) * rate
        if model.contrastive:
            total += contrast(out.features, out.debiased, out.confounder)
        return total, {"confounder_loss": confounder}

    return Objective(init, loss)


def fit_ted(
    key: Key[Array, ""], data: Batch, *, model: TEDModel, training: StreamTraining, starts: int = 1
) -> FitResult:
    """Train from several starts, and keep the one whose confounder has the least share of the features' rate.

    Choosing among starts is ours. The rate's weight falls with the rate, so that from some starts the confounder never
    shrinks and the total effect subtracts the answer itself: from 4 of 10 on the toy data of the experiments, where
    shares of .03 to .10 mark them and the others have less than .01. Answers out of distribution are not looked at.

    Args:
        key: Random key; the first start is that of ``starts=1``.
        data: ``first`` (n, a), ``second`` (n, b), ``y`` (n, A).
        model: What is trained.
        training: How.
        starts: How many.
    """
    networks = TEDNetworks(model)

    def one(start: jax.Array) -> tuple[FitResult, Array]:
        found = train_streams(start, ted_objective(model), data, training)
        out = networks.apply(found.params, data["first"], data["second"])
        share = coding_rate(out.confounder, model.eps) / coding_rate(out.features, model.eps)
        return found, jnp.where(found.diverged | ~jnp.isfinite(share), jnp.inf, share)

    keys = jnp.concatenate([key[None], jax.random.split(jax.random.fold_in(key, 1), starts - 1)])
    found, shares = jax.lax.map(one, keys)
    return jax.tree.map(lambda leaf: leaf[jnp.argmin(shares)], found)


def contrast(
    anchor: Float[Array, "n d"], positive: Float[Array, "n d"], negative: Float[Array, "n d"]
) -> Float[Array, ""]:
    """``mean -log e^{cos(anchor, positive)} / (e^{cos(anchor, positive)} + e^{cos(anchor, negative)})``."""
    return jnp.mean(jax.nn.softplus(cosine(anchor, negative) - cosine(anchor, positive)))


def cosine(a: Float[Array, "n d"], b: Float[Array, "n d"]) -> Float[Array, " n"]:
    """Cosine of the angle between rows; 0 for a row of zeros."""
    lengths = jnp.sum(a**2, axis=1) * jnp.sum(b**2, axis=1)
    return jnp.sum(a * b, axis=1) * jax.lax.rsqrt(jnp.maximum(lengths, 1e-16))
