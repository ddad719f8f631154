"""What the debiased classifiers of two modalities share: data at the door, labels, predictions."""

from abc import ABC, abstractmethod
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from causalrep.base.estimator import Estimator
from causalrep.base.validation import (
    as_matrix,
    check_counts,
    check_index_alignment,
    check_range,
    check_rows,
    check_seed,
)
from causalrep.errors import DivergenceError, InputError
from causalrep.keys import root
from causalrep.multimodal.debiasing.two_streams import StreamSizes, StreamTraining


class TwoModalityClassifier(Estimator, ABC):
    """A classifier of pairs of embeddings; subclasses say how it is trained and what its logits are."""

    def fit(self, first: Any, second: Any, y: Any) -> Self:
        """Fit the classifier.

        Args:
            first: Embeddings of one modality (n, a), for instance of questions.
            second: Of the other (n, b).
            y: Answers (n,), of any type.

        Raises:
            InputError: If an argument or hyperparameter is wrong.
            DivergenceError: If training met a loss that is not finite.
        """
        check_index_alignment(first=first, second=second, y=y)
        a, b = self._matrices(first, second)
        labels = np.asarray(y).reshape(-1)
        check_rows("y", len(labels), rows=len(a), of="first")
        codes, classes = pd.factorize(labels, sort=True)
        if len(classes) < 2 or (codes < 0).any():
            raise InputError("y", found="a missing answer, or one answer alone", expected="two or more, none missing")
        check_counts(tokens=self.tokens, features=self.features, epochs=self.epochs, batch_size=self.batch_size)
        check_range("learning_rate", self.learning_rate, above=0)
        check_seed(self.seed)
        self._check(len(a))
        self.classes_, self._widths = np.asarray(classes), (a.shape[1], b.shape[1])
        sizes = StreamSizes(len(classes), self.tokens, self.features)
        training = StreamTraining(self.epochs, min(self.batch_size, len(a)), float(self.learning_rate))
        with jax.enable_x64(False):
            # Standardised: the networks' scale is not the embeddings'.
            self._moments = [(x.mean(0), np.where(x.std(0) > 0, x.std(0), 1.0)) for x in (a, b)]
            data = dict(zip(("first", "second"), self._standard(a, b)), y=jax.nn.one_hot(codes, len(classes)))
            params, diverged = jax.device_get(self._train(root(self.seed), data, sizes, training))
        if diverged:
            raise DivergenceError(
                f"{self!r}: a loss or gradient was not finite. Lower learning_rate, or look for extreme values.",
                step=-1,
                params=params,
            )
        self.params_ = params
        return self

    def decision_function(self, first: Any, second: Any) -> np.ndarray:
        """Logits of every answer (m, A)."""
        params = self.params_
        with jax.enable_x64(False):
            return np.asarray(self._logits(params, *self._pair(first, second)), np.float64)

    def predict(self, first: Any, second: Any) -> np.ndarray:
        """The answer with the largest logit (m,)."""
        return self.classes_[self.decision_function(first, second).argmax(axis=1)]

    def score(self, first: Any, second: Any, y: Any) -> float:
        """Share of right answers."""
        predicted, truth = self.predict(first, second), np.asarray(y).reshape(-1)
        check_rows("y", len(truth), rows=len(predicted), of="first")
        return float(np.mean(predicted == truth))

    def _pair(self, first: Any, second: Any) -> list[jax.Array]:
        a, b = self._matrices(first, second)
        for name, x, width in zip(("first", "second"), (a, b), self._widths):
            if x.shape[1] != width:
                raise InputError(name, found=f"{x.shape[1]} columns", expected=f"{width}, as in fit")
        return self._standard(a, b)

    @staticmethod
    def _matrices(first: Any, second: Any) -> tuple[np.ndarray, np.ndarray]:
        a, b = as_matrix("first", first)[0], as_matrix("second", second)[0]
        check_rows("second", len(b), rows=len(a), of="first")
        return a, b

    def _standard(self, *pair: np.ndarray) -> list[jax.Array]:
        return [jnp.asarray((x - mean) / sd, jnp.float32) for x, (mean, sd) in zip(pair, self._moments)]

    def _check(self, rows: int) -> None:
        """Refuse hyperparameters of the subclass that are wrong."""

    @abstractmethod
    def _train(self, key, data, sizes: StreamSizes, training: StreamTraining):
        """Parameters, and whether training failed."""

    @abstractmethod
    def _logits(self, params, first: jax.Array, second: jax.Array) -> jax.Array:
        """Logits of every answer for standardised rows."""
