"""Debiased classifiers of two modalities, with scikit-learn's habits: TE-D, ATE-D and unimodal comparators."""

import warnings
from functools import lru_cache, partial
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np

from causalrep.base.validation import check_choice, check_counts, check_range
from causalrep.errors import IdentificationWarning, InputError
from causalrep.keys import root
from causalrep.multimodal.debiasing.ate_d import ATEDFit, ATEDModel, ATEDNetworks, Stream, ated
from causalrep.multimodal.debiasing.base import TwoModalityClassifier
from causalrep.multimodal.debiasing.coding_rate import coding_rate
from causalrep.multimodal.debiasing.sufficiency import Sufficiency, sufficiency
from causalrep.multimodal.debiasing.te_d import TEDModel, TEDNetworks, TEDOutput, fit_ted
from causalrep.multimodal.debiasing.two_streams import (
    PlainNetworks,
    StreamSizes,
    StreamTraining,
    plain_objective,
    train_streams,
)
from causalrep.multimodal.debiasing.unimodal import (
    Fusion,
    Modality,
    UnimodalModel,
    UnimodalNetworks,
    unimodal_objective,
)

Prediction = Literal["total_effect", "logits"]
# Where the confounder keeps a larger share of the coding rate, the total effect was seen to be worthless.
MOST_RATE = 0.05


class TEDClassifier(TwoModalityClassifier):
    """TE-D: subtract what the least informative predictive features of a biased classifier contribute.

    That these features are the confounders is a heuristic. Compare in distribution and out of it, and look at
    :meth:`sufficiency`.

    Args:
        prediction: By the ``"total_effect"``, the logits less the confounder's, or by the ``"logits"`` alone.
        rate: Share of the confounder's loss up to which its coding rate weighs; 0 leaves it out.
        contrastive: Debias the features too.
        starts: Random starts, of which the one with the least ``rate_share_`` is kept (ours): from a single one the
            rate often is not minimised.
        tokens: Width of each modality's token.
        features: Width of the joint features; a multiple of 4.
        epochs: Passes over the rows.
        batch_size: Rows a step.
        learning_rate: Of Adam.
        seed: Of all randomness.

    Attributes:
        classes_: The answers, sorted.
        params_: Of the networks (:class:`~causalrep.multimodal.debiasing.te_d.TEDNetworks`).
        rate_share_: Coding rate of the confounder over that of the features, on the rows of the fit; near 0 if
            minimising it succeeded, which it does not from every start.

    Source: Patil, Maharana and Bansal (2023), Findings of EMNLP.

    >>> import jax
    >>> from causalrep.data import prior_shift_vqa, vqa_prototypes
    >>> s = prior_shift_vqa(jax.random.key(1), vqa_prototypes(jax.random.key(0)), n=3000)
    >>> model = TEDClassifier(prediction="logits", epochs=8, starts=1).fit(s.question, s.image, s.answer)
    >>> model.output(s.question, s.image).confounder.shape, bool(0 < model.rate_share_ < 1)
    ((3000, 64), True)
    """

    def __init__(
        self,
        *,
        prediction: Prediction = "total_effect",
        rate: float = 0.25,
        contrastive: bool = True,
        starts: int = 4,
        tokens: int = 64,
        features: int = 64,
        epochs: int = 15,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        seed: int = 0,
    ):
        self.prediction = prediction
        self.rate = rate
        self.contrastive = contrastive
        self.starts = starts
        self.tokens = tokens
        self.features = features
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed

    def fit(self, first: Any, second: Any, y: Any) -> Self:
        """As :meth:`TwoModalityClassifier.fit`.

        Warns:
            IdentificationWarning: If the confounder kept too much of the features' coding rate for a total effect.
        """
        super().fit(first, second, y)
        out = self.output(first, second)
        with jax.enable_x64(False):
            self.rate_share_ = float(coding_rate(out.confounder) / coding_rate(out.features))
        if self.prediction == "total_effect" and self.rate_share_ > MOST_RATE:
            warnings.warn(
                f"The confounder kept {self.rate_share_:.0%} of the features' coding rate: the total effect subtracts "
                "more than bias, perhaps all there is. Try more starts, or use prediction='logits'.",
                IdentificationWarning,
                stacklevel=2,
            )
        return self

    def output(self, first: Any, second: Any) -> TEDOutput:
        """Features, confounder representation and both logits."""
        model, params = self._model, self.params_
        with jax.enable_x64(False):
            return jax.device_get(_ted_output(model, params, *self._pair(first, second)))

    def sufficiency(self, first: Any, second: Any) -> Sufficiency:
        """How far the confounder representation suffices for the classifier's own predictions."""
        out = self.output(first, second)
        return _sufficiency(out.confounder, out.features, self._scores(out).argmax(axis=1), len(self.classes_))

    def _check(self, rows: int) -> None:
        check_choice("prediction", self.prediction, ("total_effect", "logits"))
        check_counts(starts=self.starts)
        check_range("rate", self.rate, at_least=0)
        if self.features % 4:
            raise InputError("features", found=self.features, expected="a multiple of 4")

    def _train(self, key, data, sizes: StreamSizes, training: StreamTraining):
        self._model = TEDModel(sizes, rate=float(self.rate), contrastive=self.contrastive)
        found = _fit_ted(self._model, training, self.starts)(key, data)
        return found.params, found.diverged

    def _logits(self, params, first: jax.Array, second: jax.Array) -> jax.Array:
        return self._scores(_ted_output(self._model, params, first, second))

    def _scores(self, out: TEDOutput):
        return out.total_effect if self.prediction == "total_effect" else out.logits


class ATEDClassifier(TwoModalityClassifier):
    """ATE-D: recalibrate tokens by their unlikeness to a dictionary of confounders.

    That what an autoencoder's few dimensions keep is the confounder is a heuristic: compare in distribution and out of
    it.

    Args:
        stream: Whose tokens: the ``"first"`` modality's, the ``"second"``'s or the ``"joint"`` features.
        bottleneck: Dimensions of the autoencoder, fewer than tokens.
        entries: Of the dictionary.
        explicit: Average the logits over the entries, in the place of recalibrating by their mean.
        tokens: Width of each modality's token.
        features: Width of the joint features.
        epochs: Passes over the rows, of the biased classifier and again of the recalibrated one.
        batch_size: Rows a step.
        learning_rate: Of Adam.
        seed: Of all randomness.

    Attributes:
        classes_: The answers, sorted.
        params_: The :class:`~causalrep.multimodal.debiasing.ate_d.ATEDFit`.

    Source: Patil, Maharana and Bansal (2023), Findings of EMNLP.

    >>> import jax
    >>> from causalrep.data import prior_shift_vqa, vqa_prototypes
    >>> s = prior_shift_vqa(jax.random.key(1), vqa_prototypes(jax.random.key(0)), n=3000)
    >>> model = ATEDClassifier(epochs=6).fit(s.question, s.image, s.answer)
    >>> bool((model.weights(s.question, s.image) <= 2).all())
    True
    """

    def __init__(
        self,
        *,
        stream: Stream = "first",
        bottleneck: int = 8,
        entries: int = 10,
        explicit: bool = False,
        tokens: int = 64,
        features: int = 64,
        epochs: int = 15,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        seed: int = 0,
    ):
        self.stream = stream
        self.bottleneck = bottleneck
        self.entries = entries
        self.explicit = explicit
        self.tokens = tokens
        self.features = features
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed

    def weights(self, first: Any, second: Any) -> np.ndarray:
        """What each row's token is multiplied by (m,), in [0, 2]; small where it looks like a confounder."""
        model, found = self._model, self.params_
        with jax.enable_x64(False):
            tokens = _ated_tokens(model, found, *self._pair(first, second))
            return np.asarray(found.confounders.weights(tokens), np.float64)

    def sufficiency(self, first: Any, second: Any) -> Sufficiency:
        """How far the tokens' projections suffice for the classifier's own predictions, beside all features."""
        model, found, pair = self._model, self.params_, self._pair(first, second)
        with jax.enable_x64(False):
            z = _ated_tokens(model, found, *pair) @ found.confounders.projection.T
            features = PlainNetworks(model.sizes).apply(found.params, *pair)[1]
        predicted = self.decision_function(first, second).argmax(axis=1)
        return _sufficiency(z, features, predicted, len(self.classes_))

    def _check(self, rows: int) -> None:
        check_choice("stream", self.stream, ("first", "second", "joint"))
        check_counts(bottleneck=self.bottleneck, entries=self.entries)
        width = self.features if self.stream == "joint" else self.tokens
        if self.bottleneck >= width:
            raise InputError("bottleneck", found=self.bottleneck, expected=f"fewer than the tokens' {width} columns")
        if self.entries > rows:
            raise InputError("entries", found=self.entries, expected=f"at most the number of rows, {rows}")

    def _train(self, key, data, sizes: StreamSizes, training: StreamTraining):
        self._model = ATEDModel(sizes, self.stream, self.bottleneck, self.entries)
        found: ATEDFit = _ated(self._model, training)(key, data)
        return found, found.diverged

    def _logits(self, params, first: jax.Array, second: jax.Array) -> jax.Array:
        return _ated_logits(self._model, self.explicit, params, first, second)


class UnimodalDebiasing(TwoModalityClassifier):
    """The usual comparators: a branch that sees one modality soaks up what that one alone predicts.

    Args:
        fusion: ``"none"``, empirical risk minimisation; ``"product"`` of experts; ``"rubi"``.
        modality: Which one the branch sees.
        tokens: Width of each modality's token.
        features: Width of the joint features.
        epochs: Passes over the rows.
        batch_size: Rows a step.
        learning_rate: Of Adam.
        seed: Of all randomness.

    Attributes:
        classes_: The answers, sorted.
        params_: Of the networks.

    >>> import jax
    >>> from causalrep.data import prior_shift_vqa, vqa_prototypes
    >>> s = prior_shift_vqa(jax.random.key(1), vqa_prototypes(jax.random.key(0)), n=3000)
    >>> model = UnimodalDebiasing(epochs=6).fit(s.question, s.image, s.answer)
    >>> model.predict(s.question[:2], s.image[:2]).shape
    (2,)
    """

    def __init__(
        self,
        *,
        fusion: Fusion | Literal["none"] = "product",
        modality: Modality = "first",
        tokens: int = 64,
        features: int = 64,
        epochs: int = 15,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        seed: int = 0,
    ):
        self.fusion = fusion
        self.modality = modality
        self.tokens = tokens
        self.features = features
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed

    def _check(self, rows: int) -> None:
        check_choice("fusion", self.fusion, ("none", "product", "rubi"))
        check_choice("modality", self.modality, ("first", "second"))

    def _train(self, key, data, sizes: StreamSizes, training: StreamTraining):
        if self.fusion == "none":
            self._networks, objective = PlainNetworks(sizes), plain_objective(sizes)
        else:
            model = UnimodalModel(sizes, self.fusion, self.modality)
            self._networks, objective = UnimodalNetworks(model), unimodal_objective(model)
        found = _fit(objective, training)(key, data)
        return found.params, found.diverged

    def _logits(self, params, first: jax.Array, second: jax.Array) -> jax.Array:
        return self._networks.apply(params, first, second)[0]


@lru_cache(maxsize=64)
def _fit(objective, training: StreamTraining):
    return jax.jit(lambda key, data: train_streams(key, objective, data, training))


@lru_cache(maxsize=64)
def _fit_ted(model: TEDModel, training: StreamTraining, starts: int):
    return jax.jit(partial(fit_ted, model=model, training=training, starts=starts))


@lru_cache(maxsize=64)
def _ated(model: ATEDModel, training: StreamTraining):
    return jax.jit(partial(ated, model=model, training=training))


@partial(jax.jit, static_argnums=0)
def _ted_output(model: TEDModel, params, first: jax.Array, second: jax.Array) -> TEDOutput:
    return TEDNetworks(model).apply(params, first, second)


@partial(jax.jit, static_argnums=0)
def _ated_tokens(model: ATEDModel, found: ATEDFit, first: jax.Array, second: jax.Array) -> jax.Array:
    return ATEDNetworks(model).apply(found.params, first, second, method="stream")


@partial(jax.jit, static_argnums=(0, 1))
def _ated_logits(model: ATEDModel, explicit: bool, found: ATEDFit, first: jax.Array, second: jax.Array) -> jax.Array:
    method = "explicit" if explicit else "__call__"
    return ATEDNetworks(model).apply(found.params, first, second, found.confounders, method=method)


def _sufficiency(features, reference, predictions: np.ndarray, classes: int) -> Sufficiency:
    with jax.enable_x64(False):
        arguments = (jnp.asarray(features), jnp.asarray(reference), jnp.asarray(predictions, jnp.int32))
        found = _compiled_sufficiency(root(0), *arguments, classes=classes)
        return Sufficiency(*(np.float64(part) for part in found))


_compiled_sufficiency = jax.jit(sufficiency, static_argnames="classes")
