"""ATE-D: tokens are recalibrated by their dissimilarity to a dictionary of confounders, found by autoencoding.

1. A biased classifier gives tokens h. A linear autoencoder with tied weights, ``z = W h``, ``h_hat = W' z``, compresses
   them to a few dimensions; k-means over z gives the dictionary D, whose rows are centroids of length one.
2. The classifier is trained further on ``h' = w h`` with ``w = 1 - mean_k cos(W h, D_k)``, W and D fixed: an
   approximation of the adjustment ``sum_c P(y | r, c) P(c)``.

**That the few dimensions hold the confounder is a heuristic**, see :mod:`causalrep.multimodal.debiasing.te_d`.

Patil, Maharana and Bansal (2023), Findings of EMNLP; as in the authors' code. Their further term starts after the fifth
epoch, which their runs of four epochs do not reach; it is left out.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from causalrep.base.domains import Choice, Flag, Whole
from causalrep.errors import InputError
from causalrep.multimodal.debiasing.base import TwoModalityClassifier
from causalrep.multimodal.debiasing.sufficiency import Sufficiency
from causalrep.multimodal.debiasing.two_streams import (
    SCHEDULE,
    Batch,
    Head,
    PlainNetworks,
    StreamSizes,
    TwoStreams,
    answer_loss,
    plain_objective,
    train_streams,
)
from causalrep.training import FitResult, Objective, fit
from causalrep.training.optimizers import adam
from causalrep.training.rows import Schedule
from causalrep.training.trained import Trained

Stream = Literal["first", "second", "joint"]


@dataclass(frozen=True)
class ATEDModel:
    """The networks of ATE-D and the size of its dictionary.

    Attributes:
        sizes: Sizes of the networks.
        stream: The recalibrated tokens: those of a modality before they are joined, or the joint features.
        bottleneck: Dimensions of z.
        entries: K, the number of entries of the dictionary.
        autoencoder_steps: Number of full-batch updates of the autoencoder.
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
        """``cos(W h, D_k)``; 0 for a token orthogonal to the rows of W."""
        z = tokens @ self.projection.T
        return z @ self.entries.T * jax.lax.rsqrt(jnp.maximum(jnp.sum(z**2, axis=1, keepdims=True), 1e-16))

    def weights(self, tokens: Float[Array, "n t"]) -> Float[Array, " n"]:
        """``w = 1 - mean_k cos(W h, D_k)``, in [0, 2]."""
        return 1.0 - self.similarities(tokens).mean(axis=1)


class ATEDNetworks(nn.Module):
    """The plain classifier with a weight on the tokens of one stream.

    Attributes:
        model: Networks and dictionary.
    """

    model: ATEDModel

    def setup(self) -> None:
        """Layers with the names of :class:`PlainNetworks`, whose parameters these networks take over."""
        self.backbone, self.head = TwoStreams(self.model.sizes), Head(self.model.sizes.answers)

    def __call__(
        self, first: Float[Array, "n a"], second: Float[Array, "n b"], confounders: Confounders
    ) -> Float[Array, "n a"]:
        """Logits with recalibrated tokens."""
        return self.head(self._features(first, second, confounders.weights))

    def explicit(
        self, first: Float[Array, "n a"], second: Float[Array, "n b"], confounders: Confounders
    ) -> Float[Array, "n a"]:
        """Logits averaged over the entries of the dictionary, each with its own weight: the sum over c."""

        def one(entry: Array) -> Array:
            only = Confounders(confounders.projection, entry[None])
            return self.head(self._features(first, second, only.weights))

        return sum(one(entry) for entry in confounders.entries) / len(confounders.entries)

    def stream(self, first: Float[Array, "n a"], second: Float[Array, "n b"]) -> Float[Array, "n t"]:
        """The tokens to be recalibrated, before recalibration."""
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
    """The loss of step 2, with parameters ``{"net", "confounders"}``, of which the second is never updated."""
    networks = ATEDNetworks(model)

    def init(key: jax.Array, batch: Batch) -> PyTree:
        net = PlainNetworks(model.sizes).init(key, batch["first"][:1], batch["second"][:1])
        tokens = networks.apply(net, batch["first"], batch["second"], method="stream")
        return {"net": net, "confounders": find_confounders(key, tokens, model)[0]}

    def loss(params: PyTree, key: jax.Array, batch: Batch):
        # A gradient of zero, so that Adam leaves the dictionary as it is.
        confounders = jax.lax.stop_gradient(params["confounders"])
        logits = networks.apply(params["net"], batch["first"], batch["second"], confounders)
        return answer_loss(logits, batch["y"]), {}

    return Objective(init, loss)


def ated(key: Key[Array, ""], data: Batch, *, model: ATEDModel, schedule: Schedule = SCHEDULE) -> Trained:
    """Both steps.

    Args:
        key: Random key.
        data: ``first`` (n, a), ``second`` (n, b) and targets ``y`` (n, A).
        model: Networks and dictionary.
        schedule: Training schedule of either step, in epochs.

    Returns:
        The fit of the second step, with parameters ``{"net", "confounders"}``. It counts as diverged if any step did.
    """
    biased_key, confounder_key, fit_key = jax.random.split(key, 3)
    biased = train_streams(biased_key, plain_objective(model.sizes), data, schedule)
    tokens = ATEDNetworks(model).apply(biased.params, data["first"], data["second"], method="stream")
    confounders, autoencoder = find_confounders(confounder_key, tokens, model)
    result = recalibrate(fit_key, data, biased.params, confounders, model=model, schedule=schedule)
    # The first step that diverged is the one to report, so the earliest overwrites the others.
    for earlier in (autoencoder, biased):
        result = result._replace(
            diverged=result.diverged | earlier.diverged,
            first_bad_step=jnp.where(earlier.diverged, earlier.first_bad_step, result.first_bad_step),
        )
    return result


def recalibrate(
    key: Key[Array, ""],
    data: Batch,
    biased: PyTree,
    confounders: Confounders,
    *,
    model: ATEDModel,
    schedule: Schedule = SCHEDULE,
) -> Trained:
    """Step 2, from the parameters of a biased classifier and a dictionary."""
    start = {"net": biased, "confounders": confounders}
    return train_streams(key, ated_objective(model), data, schedule, start=start)


def find_confounders(
    key: Key[Array, ""], tokens: Float[Array, "n t"], model: ATEDModel
) -> tuple[Confounders, FitResult]:
    """The dictionary of the tokens' codes, and the fit of the autoencoder."""
    fit_key, cluster_key = jax.random.split(key)
    tokens, steps = jax.lax.stop_gradient(tokens), model.autoencoder_steps
    optimizer = adam(0.02, cosine_steps=steps)
    result = fit(tied_autoencoder(model.bottleneck), optimizer, {"h": tokens}, fit_key, steps=steps)
    projection = result.params["W"]
    centroids = k_means(cluster_key, tokens @ projection.T, model.entries)
    lengths = jnp.linalg.norm(centroids, axis=1, keepdims=True)
    return Confounders(projection, centroids / jnp.maximum(lengths, 1e-12)), result


@lru_cache
def tied_autoencoder(bottleneck: int) -> Objective:
    """Mean of ``|h - W' W h|^2``, minimal for the first principal directions of the uncentered tokens."""

    def init(key: jax.Array, batch: Batch) -> PyTree:
        width = batch["h"].shape[1]
        return {"W": jax.random.normal(key, (bottleneck, width)) / width**0.5}

    def loss(params: PyTree, key: jax.Array, batch: Batch):
        w, h = params["W"], batch["h"]
        return jnp.mean(jnp.sum((h - h @ w.T @ w) ** 2, axis=1)), {}

    return Objective(init, loss)


def k_means(key: Key[Array, ""], z: Float[Array, "n b"], clusters: int, *, iterations: int = 50) -> Float[Array, "k b"]:
    """Centroids by Lloyd's algorithm, started by k-means++ (Arthur and Vassilvitskii 2007).

    Args:
        key: Random key of the starts.
        z: Points.
        clusters: K; a cluster that loses all its points keeps its centroid.
        iterations: Number of iterations.
    """
    first_key, *keys = jax.random.split(key, clusters)
    first = z[jax.random.randint(first_key, (), 0, len(z))]
    centroids, nearest = [first], jnp.sum((z - first) ** 2, axis=1)
    for k in keys:
        # The next start is drawn with probability proportional to the squared distance from the nearest one so far.
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
    # |z - c|^2 without |z|^2, which is the same for all centroids.
    return jnp.argmin(jnp.sum(centroids**2, axis=1) - 2 * z @ centroids.T, axis=1)


class ATEDClassifier(TwoModalityClassifier):
    """ATE-D: recalibrates tokens by their dissimilarity to a dictionary of confounders.

    That the few dimensions of an autoencoder keep the confounder is a heuristic: compare accuracy in and out of
    distribution.

    Args:
        stream: The recalibrated tokens: those of the ``"first"`` or the ``"second"`` modality, or the ``"joint"``
            features.
        bottleneck: Dimensions of the autoencoder, fewer than tokens.
        entries: Number of entries of the dictionary.
        explicit: Average the logits over the entries instead of recalibrating by the mean of their similarities.
        tokens: Width of each modality's token.
        features: Width of the joint features.
        schedule: Training schedule, in epochs, of the biased classifier and again of the recalibrated one.
        seed: Random seed.

    Attributes:
        classes_: The answers, sorted.
        params_: ``"net"``, parameters of the recalibrated classifier, and ``"confounders"``, the dictionary
            (:class:`~causalrep.multimodal.debiasing.ate_d.Confounders`).

    Source: Patil, Maharana and Bansal (2023), Findings of EMNLP.

    >>> import jax
    >>> from causalrep.data import prior_shift_vqa, vqa_prototypes
    >>> s = prior_shift_vqa(jax.random.key(1), vqa_prototypes(jax.random.key(0)), n=3000)
    >>> model = ATEDClassifier(schedule=Schedule(epochs=6)).fit(s.question, s.image, s.answer)
    >>> bool((model.weights(s.question, s.image) <= 2).all())
    True
    """

    _domains = TwoModalityClassifier._domains | {
        "stream": Choice(*get_args(Stream)),
        "bottleneck": Whole(),
        "entries": Whole(),
        "explicit": Flag(),
    }

    def __init__(
        self,
        *,
        stream: Stream = "first",
        bottleneck: int = 8,
        entries: int = 10,
        explicit: bool = False,
        tokens: int = 64,
        features: int = 64,
        schedule: Schedule = SCHEDULE,
        seed: int = 0,
    ):
        self.stream = stream
        self.bottleneck = bottleneck
        self.entries = entries
        self.explicit = explicit
        self.tokens = tokens
        self.features = features
        self.schedule = schedule
        self.seed = seed

    def weights(self, first: Any, second: Any) -> np.ndarray:
        """Factors (m,) in [0, 2] by which the tokens are multiplied; small for tokens that resemble a confounder."""
        params = self.params_
        with self._computing():
            tokens = _tokens(self._model, params["net"], *self._pair(first, second))
            return np.asarray(params["confounders"].weights(tokens), np.float64)

    def sufficiency(self, first: Any, second: Any) -> Sufficiency:
        """Sufficiency of the tokens' projections for the classifier's own predictions, relative to all features."""
        params, pair = self.params_, self._pair(first, second)
        with self._computing():
            z = _tokens(self._model, params["net"], *pair) @ params["confounders"].projection.T
            features = PlainNetworks(self._model.sizes).apply(params["net"], *pair)[1]
        return self._audit(z, features, self.decision_function(first, second).argmax(axis=1))

    def _check(self, rows: int) -> None:
        width = self.features if self.stream == "joint" else self.tokens
        if self.bottleneck >= width:
            raise InputError("bottleneck", found=self.bottleneck, expected=f"fewer than the tokens' {width} columns")
        if self.entries > rows:
            raise InputError("entries", found=self.entries, expected=f"at most the number of rows, {rows}")

    def _train(self, key: Key[Array, ""], data: Batch, sizes: StreamSizes, schedule: Schedule) -> Trained:
        self._model = ATEDModel(sizes, self.stream, self.bottleneck, self.entries)
        return _program(key, data, model=self._model, schedule=schedule)

    def _logits(self, params: PyTree, first: Float[Array, "m a"], second: Float[Array, "m b"]) -> Float[Array, "m A"]:
        return _logits(self._model, self.explicit, params, first, second)


_program = jax.jit(ated, static_argnames=("model", "schedule"))


@partial(jax.jit, static_argnums=0)
def _tokens(model: ATEDModel, net: PyTree, first: Float[Array, "m a"], second: Float[Array, "m b"]) -> Array:
    return ATEDNetworks(model).apply(net, first, second, method="stream")


@partial(jax.jit, static_argnums=(0, 1))
def _logits(
    model: ATEDModel, explicit: bool, params: PyTree, first: Float[Array, "m a"], second: Float[Array, "m b"]
) -> Float[Array, "m A"]:
    method = "explicit" if explicit else "__call__"
    return ATEDNetworks(model).apply(params["net"], first, second, params["confounders"], method=method)
