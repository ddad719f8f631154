"""ATE-D: tokens are recalibrated by their unlikeness to a dictionary of confounders, found by autoencoding.

1. A biased classifier gives tokens h. A linear autoencoder with tied weights, ``z = W h``, ``h_hat = W' z``, keeps what
   few dimensions can; k-means over z gives the dictionary D, its rows centroids of length one.
2. The classifier is trained further on ``h' = w h`` with ``w = 1 - mean_k cos(W h, D_k)``, W and D fixed: an
   approximation of the adjustment ``sum_c P(y | r, c) P(c)``.

**That what few dimensions keep is the confounder is a heuristic**, see :mod:`causalrep.multimodal.debiasing.te_d`.

Patil, Maharana and Bansal (2023), Findings of EMNLP; as in the authors' code, whose further term starts after the fifth
epoch, which its runs of four do not reach: it is left out.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from causalrep.multimodal.debiasing.two_streams import (
    Batch,
    Head,
    PlainNetworks,
    StreamSizes,
    StreamTraining,
    TwoStreams,
    answer_loss,
    plain_objective,
    train_streams,
)
from causalrep.training import Objective, fit

Stream = Literal["first", "second", "joint"]


@dataclass(frozen=True)
class ATEDModel:
    """What is trained.

    Attributes:
        sizes: Widths.
        stream: Which tokens are recalibrated: a modality's before they are joined, or the joint features.
        bottleneck: Dimensions of z.
        entries: K, of the dictionary.
        autoencoder_steps: Full-batch updates of the autoencoder.
    """

    sizes: StreamSizes
    stream: Stream = "first"
    bottleneck: int = 8
    entries: int = 10
    autoencoder_steps: int = 2000


class Confounders(NamedTuple):
    """A dictionary of confounders.

    Attributes:
        projection: W (b, t).
        entries: D, rows of length one (K, b).
    """

    projection: Float[Array, "b t"]
    entries: Float[Array, "k b"]

    def similarities(self, tokens: Float[Array, "n t"]) -> Float[Array, "n k"]:
        """``cos(W h, D_k)``; 0 for a token outside the rows of W."""
        z = tokens @ self.projection.T
        return z @ self.entries.T * jax.lax.rsqrt(jnp.maximum(jnp.sum(z**2, axis=1, keepdims=True), 1e-16))

    def weights(self, tokens: Float[Array, "n t"]) -> Float[Array, " n"]:
        """``w = 1 - mean_k cos(W h, D_k)``, in [0, 2]."""
        return 1.0 - self.similarities(tokens).mean(axis=1)


class ATEDFit(NamedTuple):
    """A fitted ATE-D.

    Attributes:
        params: Of the recalibrated classifier.
        confounders: The dictionary.
        diverged: Whether some loss of some step was not finite.
    """

    params: PyTree
    confounders: Confounders
    diverged: Bool[Array, ""]


class ATEDNetworks(nn.Module):
    """The plain classifier, with a weight on the tokens of one stream.

    Attributes:
        model: What is trained.
    """

    model: ATEDModel

    def setup(self) -> None:
        """Names as in :class:`PlainNetworks`, whose parameters it takes over."""
        self.backbone, self.head = TwoStreams(self.model.sizes), Head(self.model.sizes.answers)

    def __call__(
        self, first: Float[Array, "n a"], second: Float[Array, "n b"], confounders: Confounders
    ) -> Float[Array, "n a"]:
        """Logits with recalibrated tokens."""
        return self.head(self._features(first, second, confounders.weights))

    def explicit(
        self, first: Float[Array, "n a"], second: Float[Array, "n b"], confounders: Confounders
    ) -> Float[Array, "n a"]:
        """Logits averaged over the entries of the dictionary, each with a weight of its own: the sum over c."""

        def one(entry: Array) -> Array:
            only = Confounders(confounders.projection, entry[None])
            return self.head(self._features(first, second, only.weights))

        return sum(one(entry) for entry in confounders.entries) / len(confounders.entries)

    def stream(self, first: Float[Array, "n a"], second: Float[Array, "n b"]) -> Float[Array, "n t"]:
        """The tokens that are recalibrated, before that."""
        tokens = self.backbone.tokens(first, second)
        return self.backbone.join(*tokens) if self.model.stream == "joint" else tokens[self.model.stream == "second"]

    def _features(self, first: Array, second: Array, weights) -> Array:
        a, b = self.backbone.tokens(first, second)
        if self.model.stream == "first":
            a = weights(a)[:, None] * a
        if self.model.stream == "second":
            b = weights(b)[:, None] * b
        x = self.backbone.join(a, b)
        return weights(x)[:, None] * x if self.model.stream == "joint" else x


@lru_cache
def ated_objective(model: ATEDModel) -> Objective:
    """:func:`answer_loss` of step 2; parameters are ``{"net", "confounders"}``, the second never updated."""
    networks = ATEDNetworks(model)

    def init(key: jax.Array, batch: Batch) -> PyTree:
        net = PlainNetworks(model.sizes).init(key, batch["first"][:1], batch["second"][:1])
        tokens = networks.apply(net, batch["first"], batch["second"], method="stream")
        return {"net": net, "confounders": find_confounders(key, tokens, model)[0]}

    def loss(params: PyTree, key: jax.Array, batch: Batch):
        confounders = jax.lax.stop_gradient(params["confounders"])
        logits = networks.apply(params["net"], batch["first"], batch["second"], confounders)
        return answer_loss(logits, batch["y"]), {}

    return Objective(init, loss)


def ated(key: Key[Array, ""], data: Batch, *, model: ATEDModel, training: StreamTraining) -> ATEDFit:
    """Both steps.

    Args:
        key: Random key.
        data: ``first`` (n, a), ``second`` (n, b) and targets ``y`` (n, A).
        model: What is trained.
        training: Of either step.
    """
    biased_key, confounder_key, fit_key = jax.random.split(key, 3)
    biased = train_streams(biased_key, plain_objective(model.sizes), data, training)
    tokens = ATEDNetworks(model).apply(biased.params, data["first"], data["second"], method="stream")
    confounders, failed = find_confounders(confounder_key, tokens, model)
    found = recalibrate(fit_key, data, biased.params, confounders, model=model, training=training)
    return found._replace(diverged=biased.diverged | failed | found.diverged)


def recalibrate(
    key: Key[Array, ""],
    data: Batch,
    biased: PyTree,
    confounders: Confounders,
    *,
    model: ATEDModel,
    training: StreamTraining,
) -> ATEDFit:
    """Step 2, from a biased classifier's parameters and a dictionary."""
    start = {"net": biased, "confounders": confounders}
    found = train_streams(key, ated_objective(model), data, training, start=start)
    return ATEDFit(found.params["net"], confounders, found.diverged)


def find_confounders(key: Key[Array, ""], tokens: Float[Array, "n t"], model: ATEDModel) -> tuple[Confounders, Array]:
    """Autoencode tokens, cluster the codes; and whether training met a loss that is not finite."""
    fit_key, cluster_key = jax.random.split(key)
    tokens = jax.lax.stop_gradient(tokens)
    steps = model.autoencoder_steps
    found = fit(tied_autoencoder(model.bottleneck), _decayed_adam(steps), {"h": tokens}, fit_key, steps=steps)
    projection = found.params["W"]
    centroids = k_means(cluster_key, tokens @ projection.T, model.entries)
    lengths = jnp.linalg.norm(centroids, axis=1, keepdims=True)
    return Confounders(projection, centroids / jnp.maximum(lengths, 1e-12)), found.diverged


@lru_cache
def tied_autoencoder(bottleneck: int) -> Objective:
    """Mean of ``|h - W' W h|^2``; its least value is that of the first principal directions of uncentred tokens."""

    def init(key: jax.Array, batch: Batch) -> PyTree:
        width = batch["h"].shape[1]
        return {"W": jax.random.normal(key, (bottleneck, width)) / width**0.5}

    def loss(params: PyTree, key: jax.Array, batch: Batch):
        w, h = params["W"], batch["h"]
        return jnp.mean(jnp.sum((h - h @ w.T @ w) ** 2, axis=1)), {}

    return Objective(init, loss)


def k_means(key: Key[Array, ""], z: Float[Array, "n b"], clusters: int, *, iterations: int = 50) -> Float[Array, "k b"]:
    """Centroids by Lloyd's algorithm from the starts of k-means++ (Arthur and Vassilvitskii 2007).

    Args:
        key: Of the starts.
        z: Points.
        clusters: K; one that loses all its points keeps its centroid.
        iterations: How many.
    """
    first_key, *keys = jax.random.split(key, clusters)
    first = z[jax.random.randint(first_key, (), 0, len(z))]
    centroids, nearest = [first], jnp.sum((z - first) ** 2, axis=1)
    for k in keys:
        chosen = z[jax.random.categorical(k, jnp.log(nearest))]
        centroids.append(chosen)
        nearest = jnp.minimum(nearest, jnp.sum((z - chosen) ** 2, axis=1))

    def step(centroids: Array, _: None) -> tuple[Array, None]:
        own = jax.nn.one_hot(nearest_centroid(z, centroids), clusters)
        count = own.sum(0)[:, None]
        return jnp.where(count > 0, own.T @ z / jnp.maximum(count, 1.0), centroids), None

    return jax.lax.scan(step, jnp.stack(centroids), length=iterations)[0]


def nearest_centroid(z: Float[Array, "n b"], centroids: Float[Array, "k b"]) -> Int[Array, " n"]:
    """Index of the nearest centroid of every point."""
    return jnp.argmin(jnp.sum(centroids**2, axis=1) - 2 * z @ centroids.T, axis=1)


@lru_cache
def _decayed_adam(steps: int) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(0.02, steps))
