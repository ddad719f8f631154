"""Any scikit-learn estimator as a nuisance regression, and calls that are compiled where that is possible."""

import copy
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, ClassVar

import jax
import numpy as np

from causalrep.errors import InputError
from causalrep.inference.crossfit import Learner, is_host


@dataclass(frozen=True)
class ScikitLearn:
    """A scikit-learn regressor or classifier behind the interface of the library's own regressions.

    It runs as ordinary Python: cross-fitting and the bootstrap loop over it instead of running as one compiled program.
    A classifier predicts the probability of its second class.

    Attributes:
        estimator: The estimator; copies of it are fitted.
    """

    estimator: Any
    host: ClassVar[bool] = True

    def fit(self, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Any:
        """A fitted copy, on the rows with positive weight."""
        x, y, w = (np.asarray(a) for a in (x, y, w))
        used = w > 0
        x, y, w = x[used], y[used], w[used]
        fitted = copy.deepcopy(self.estimator)
        if np.all(w == w[0]):
            return fitted.fit(x, y)
        try:
            return fitted.fit(x, y, sample_weight=w)
        except (TypeError, ValueError) as error:
            raise InputError(
                "effect",
                found=f"{type(self.estimator).__name__}, whose fit takes no sample_weight",
                expected="an estimator with sample weights, which this method or interval needs",
            ) from error

    def predict(self, params: Any, x: np.ndarray) -> np.ndarray:
        """Predicted mean or probability."""
        x = np.asarray(x)
        return params.predict_proba(x)[:, 1] if hasattr(params, "predict_proba") else params.predict(x)


def as_learner(argument: str, value: Any) -> Learner:
    """A regression of the library as it is, a scikit-learn estimator wrapped.

    Raises:
        InputError: If it is neither.
    """
    if hasattr(value, "get_params") and hasattr(value, "fit") and hasattr(value, "predict"):
        return ScikitLearn(value)
    if isinstance(value, type) or not (is_dataclass(value) and isinstance(value, Learner)):
        raise InputError(
            argument,
            found=repr(value),
            expected="a regression such as Ridge() or KernelRidge(), or a scikit-learn estimator",
        )
    return value


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
