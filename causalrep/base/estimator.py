"""What every estimator is: hyperparameters by name, a short repr, and a clear error for what is used before ``fit``."""

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Self

import jax

from causalrep.errors import InputError, NotFittedError


class Estimator:
    """The base of all estimators, by scikit-learn's conventions.

    Hyperparameters are the arguments of the constructor, stored under their own names and checked in ``fit``; fitted
    attributes end in ``_``.

    A class states the precision it computes in, ``"float64"`` for closed forms and ``"float32"`` for networks, and runs
    its array code inside :meth:`_computing`, so that the global settings of JAX change nothing.
    """

    _precision: ClassVar[Literal["float64", "float32"]] = "float64"

    @classmethod
    def _parameter_names(cls) -> list[str]:
        parameters = inspect.signature(cls.__init__).parameters.values()
        return sorted(p.name for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Hyperparameters by name.

        Args:
            deep: Include those of hyperparameters that are estimators themselves, as ``"outcome__alpha"``.
        """
        own = {name: getattr(self, name) for name in self._parameter_names()}
        if not deep:
            return own
        nested = {
            f"{name}__{inner}": setting
            for name, value in own.items()
            if hasattr(value, "get_params") and not isinstance(value, type)
            for inner, setting in value.get_params().items()
        }
        return own | nested

    def set_params(self, **params: Any) -> Self:
        """Set hyperparameters by name, ``outcome__alpha`` those of a nested estimator; unknown names are refused."""
        nested: dict[str, dict[str, Any]] = {}
        for name, value in params.items():
            own, separator, inner = name.partition("__")
            if own not in self._parameter_names():
                raise InputError(name, found="an unknown parameter", expected=f"one of {self._parameter_names()}")
            if separator:
                nested.setdefault(own, {})[inner] = value
            else:
                setattr(self, name, value)
        # After the others: outcome=..., outcome__alpha=... sets alpha of the new outcome.
        for own, settings in nested.items():
            getattr(self, own).set_params(**settings)
        return self

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self).__init__).parameters
        # Compared by repr: a wrong value, say an array, must not break the message that shows it.
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params(deep=False).items()
            if repr(parameters[name].default) != repr(value)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __getattr__(self, name: str) -> Any:
        # Reached only when ordinary look-up fails: a fitted attribute before fit gets a clear error.
        fitted = any(known.endswith("_") and not known.startswith("_") for known in self.__dict__)
        if name.endswith("_") and not name.startswith("_") and not fitted:
            own = ", ".join(list(inspect.signature(type(self).fit).parameters)[1:3])
            raise NotFittedError(f"{type(self).__name__} is not fitted: call fit({own}, ...) before using {name}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        """The precision of this class, whatever the global setting."""
        with jax.enable_x64(self._precision == "float64"):
            yield


class Transformer(Estimator):
    """An estimator with ``fit`` and ``transform`` that scikit-learn takes into a pipeline."""

    def __sklearn_tags__(self) -> Any:
        # Only scikit-learn asks, so it is installed.
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=True, two_d_labels=True),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(),
        )
