"""Any scikit-learn estimator as a nuisance regression, and calls that are compiled where that is possible."""

import copy
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, ClassVar

import jax
import numpy as np

from causalrep.effects.regressions.linear import Logistic, Ridge, check_probabilities
from causalrep.errors import InputError
from causalrep.inference.crossfit import Learner, OneClassError, is_host


@dataclass(frozen=True)
class ScikitLearn:
    """A scikit-learn regressor or classifier behind the interface of the library's own regressions.

    It runs as ordinary Python: cross-fitting and the bootstrap loop over it instead of running as one compiled program.
    A classifier of classes coded by numbers predicts their mean, ``sum_k class_k p_k``: the probability of 1 for
    classes 0 and 1.

    Attributes:
        estimator: The estimator; copies of it are fitted.
        argument: The argument of the effect estimator that it was given for, in errors.
    """

    estimator: Any
    argument: str = "outcome"
    host: ClassVar[bool] = True

    @property
    def classifier(self) -> bool:
        """Whether the estimator is a classifier."""
        return is_classifier(self.estimator)

    def fit(self, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Any:
        """A fitted copy, on the rows with positive weight."""
        x, y, w = (np.asarray(a) for a in (x, y, w))
        used = w > 0
        x, y, w = x[used], y[used], w[used]
        if self.classifier:
            self._check_classes(np.unique(y), len(y))
        fitted = copy.deepcopy(self.estimator)
        if np.all(w == w[0]):
            return fitted.fit(x, y)
        try:
            return fitted.fit(x, y, sample_weight=w)
        except (TypeError, ValueError) as error:
            if "sample_weight" not in str(error):
                raise
            raise InputError(
                self.argument,
                found=f"{type(self.estimator).__name__}, whose fit takes no sample_weight",
                expected="an estimator with sample weights, which this method or interval needs",
            ) from error

    def predict(self, params: Any, x: np.ndarray) -> np.ndarray:
        """Predicted mean."""
        x = np.asarray(x)
        if not self.classifier:
            return params.predict(x)
        return params.predict_proba(x) @ np.asarray(getattr(params, "classes_", (0, 1)), np.float64)

    def _check_classes(self, classes: np.ndarray, rows: int) -> None:
        if len(classes) == 1:
            raise OneClassError(
                self.argument,
                found=f"a classifier and one class ({classes[0]:g}) among {rows} rows",
                expected="two classes or more in each arm outside each fold (fewer folds), or a regressor",
            )
        check_classes(self, classes)


def is_classifier(estimator: Any) -> bool:
    """Whether a scikit-learn estimator, or a pipeline or search around one, is a classifier."""
    if hasattr(estimator, "predict_proba") or getattr(estimator, "_estimator_type", None) == "classifier":
        return True
    tags = getattr(estimator, "__sklearn_tags__", None)
    return tags is not None and tags().estimator_type == "classifier"


def check_classes(learner: Learner, y: np.ndarray) -> None:
    """Refuse an outcome that the regression of the outcome was not made for.

    Raises:
        InputError: If probabilities are to be regressed on what is not between 0 and 1, or classes are not coded by
            whole numbers.
    """
    if getattr(learner, "probability", False):
        check_probabilities("outcome", learner, y)
    elif isinstance(learner, ScikitLearn) and learner.classifier and not np.array_equal(y, np.round(y)):
        raise InputError(
            learner.argument,
            found=f"the classifier {type(learner.estimator).__name__} and a target that is no class",
            expected="a regressor, or classes coded by whole numbers",
        )


def as_learner(argument: str, value: Any) -> Learner:
    """A regression of the library as it is, a scikit-learn estimator wrapped.

    Raises:
        InputError: If it is neither, the class of one, or a classifier without probabilities.
    """
    expected = "a regression such as Ridge() or KernelRidge(), or a scikit-learn estimator"
    if isinstance(value, type):
        found, instance = f"the class {value.__name__}", f"an instance: {value.__name__}(...)"
        raise InputError(argument, found=found, expected=instance if hasattr(value, "fit") else expected)
    scikit = hasattr(value, "get_params") and hasattr(value, "fit") and hasattr(value, "predict")
    if not scikit and not (is_dataclass(value) and isinstance(value, Learner)):
        raise InputError(argument, found=repr(value), expected=expected)
    learner = ScikitLearn(value, argument) if scikit else value
    classifier = scikit and learner.classifier
    if classifier and not hasattr(value, "predict_proba"):
        raise InputError(
            argument,
            found=f"the classifier {type(value).__name__} without predict_proba",
            expected="a classifier with probabilities (see CalibratedClassifierCV), or a regressor",
        )
    return learner


@dataclass(frozen=True)
class Regression:
    """The domain of hyperparameters that are regressions; ``effects`` for those of effects."""

    effects: bool = False

    def check(self, argument: str, value: Any) -> None:
        """Refuse what :func:`as_learner` refuses, and as a regression of effects what predicts probabilities."""
        learner = as_learner(argument, value)
        if self.effects and (getattr(learner, "classifier", False) or getattr(learner, "probability", False)):
            raise InputError(argument, found=repr(value), expected="a regressor: an effect is no class or probability")

    def wrong(self) -> list[Any]:
        """A class, a number, a word, nothing; a regression of probabilities where effects are regressed."""
        return [Ridge, 3.5, "ridge", None, *([Logistic()] if self.effects else [])]


def call(function: Callable, static: Mapping[str, Any], **arrays: Any) -> Any:
    """``function(**static, **arrays)``: one compiled program per value of ``static``, unless a learner is host code.

    Args:
        function: A module-level function.
        static: Learners, meta-learners and numbers that choose shapes.
        **arrays: The traced arguments.
    """
    learners = [inner for value in static.values() for inner in getattr(value, "learners", (value,))]
    if is_host(*learners):
        return function(**static, **arrays)
    return _compiled(function, tuple(static))(**static, **arrays)


@functools.cache
def _compiled(function: Callable, static: tuple[str, ...]) -> Callable:
    return jax.jit(function, static_argnames=static)
