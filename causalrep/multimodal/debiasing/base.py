"""The abstract base of the debiased classifiers of two modalities: checked data, labels, predictions."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from causalrep.base.columns import read_columns
from causalrep.base.domains import Domain, Whole
from causalrep.base.estimator import Estimator
from causalrep.base.kinds import to_labels
from causalrep.base.validation import (
    check_index_alignment,
    check_rows,
    code_labels,
    is_constant,
)
from causalrep.keys import root
from causalrep.multimodal.debiasing.sufficiency import Sufficiency, sufficiency
from causalrep.multimodal.debiasing.two_streams import SCHEDULE, Batch, StreamSizes
from causalrep.training.rows import InSchedule, Scaling, Schedule, check_schedule
from causalrep.training.trained import Trained, refuse_divergence


class TwoModalityClassifier(Estimator, ABC):
    """A classifier of pairs of embeddings; subclasses define how it is trained and what its logits are."""

    _precision = "float32"
    _domains: ClassVar[dict[str, Domain]] = {
        "tokens": Whole(),
        "features": Whole(),
        "schedule": InSchedule(SCHEDULE),
        "seed": Whole(None),
    }

    def fit(self, first: Any, second: Any, y: Any) -> Self:
        """Fit the classifier.

        Args:
            first: Embeddings of one modality (n, a), for instance of questions.
            second: Embeddings of the other modality (n, b).
            y: Answers (n,), of any type.

        Raises:
            InputError: If an argument or hyperparameter is wrong.
            DivergenceError: If training met a loss that is not finite.
        """
        self._check_domains()
        check_index_alignment(first=first, second=second, y=y)
        a, first_columns = read_columns("first", first)
        b, second_columns = read_columns("second", second, rows=len(a), of="first")
        codes, classes = code_labels("y", y, rows=len(a), of="first", sort=True)
        schedule = check_schedule(self.schedule, SCHEDULE)
        self._check(len(a))
        self.classes_, self._columns = np.asarray(classes), (first_columns, second_columns)
        # Embeddings are standardized, since the scale of the networks' initialization is not theirs.
        self._scaling = [Scaling(x.mean(0), np.where(is_constant(x), 1.0, x.std(0))) for x in (a, b)]
        sizes = StreamSizes(len(classes), self.tokens, self.features)
        with self._computing():
            data = dict(zip(("first", "second"), self._standardized(a, b)), y=jax.nn.one_hot(codes, len(classes)))
            result = jax.device_get(self._train(root(self.seed), data, sizes, schedule))
        refuse_divergence(result, self)
        self.params_ = result.params
        return self

    def decision_function(self, first: Any, second: Any) -> np.ndarray:
        """Logits of every answer (m, A)."""
        params = self.params_
        with self._computing():
            return np.asarray(self._logits(params, *self._pair(first, second)), np.float64)

    def predict(self, first: Any, second: Any) -> np.ndarray:
        """The answer with the largest logit (m,)."""
        return self.classes_[self.decision_function(first, second).argmax(axis=1)]

    def score(self, first: Any, second: Any, y: Any) -> float:
        """Share of correct answers."""
        check_index_alignment(first=first, second=second, y=y)
        predicted, truth = self.predict(first, second), to_labels("y", y).to_numpy()
        check_rows("y", len(truth), rows=len(predicted), of="first")
        return float(np.mean(predicted == truth))

    def _pair(self, first: Any, second: Any) -> list[jax.Array]:
        check_index_alignment(first=first, second=second)
        a, b = (columns.match(x) for columns, x in zip(self._columns, (first, second)))
        check_rows("second", len(b), rows=len(a), of="first")
        return self._standardized(a, b)

    def _standardized(self, *pair: np.ndarray) -> list[jax.Array]:
        return [jnp.asarray(scaling.apply(x), jnp.float32) for x, scaling in zip(pair, self._scaling)]

    def _audit(self, features: Array, reference: Array, predicted: np.ndarray) -> Sufficiency:
        """Sufficiency of features for the classifier's own predictions, given as positions in ``classes_``."""
        with self._computing():
            arguments = (jnp.asarray(features), jnp.asarray(reference), jnp.asarray(predicted, jnp.int32))
            audit = _sufficiency(root(0), *arguments, classes=len(self.classes_))
            return Sufficiency(*(np.float64(part) for part in audit))

    def _check(self, rows: int) -> None:
        """Refuse hyperparameters of the subclass that are wrong together or for n rows."""

    @abstractmethod
    def _train(self, key: Key[Array, ""], data: Batch, sizes: StreamSizes, schedule: Schedule) -> Trained:
        """The fit to standardized rows."""

    @abstractmethod
    def _logits(self, params: PyTree, first: Float[Array, "m a"], second: Float[Array, "m b"]) -> Float[Array, "m A"]:
        """Logits of every answer for standardized rows."""


_sufficiency = jax.jit(sufficiency, static_argnames="classes")
