"""The base of all estimators: hyperparameters by name, a short repr, and a clear error before ``fit``."""

import contextlib
import html
import inspect
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Self

import jax

from causalrep.base.domains import Domain, check_domains, plain
from causalrep.errors import InputError, NotFittedError


class Estimator:
    """The base of all estimators, which follows scikit-learn's conventions.

    Hyperparameters are the arguments of the constructor, stored under their own names and checked in ``fit``. Names of
    fitted attributes end in ``_``.

    A class states the precision of its computation, ``"float64"`` for closed forms and ``"float32"`` for networks, and
    runs its array code inside :meth:`_computing`, so that the global settings of JAX have no effect.
    """

    _domains: ClassVar[dict[str, Domain]] = {}  # one for each argument of the constructor
    fit: Any  # every estimator defines it, with the arguments its room needs
    _precision: ClassVar[Literal["float64", "float32"]] = "float64"

    @classmethod
    def _parameter_names(cls) -> list[str]:
        parameters = inspect.signature(cls.__init__).parameters.values()
        return sorted(p.name for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Hyperparameters by name.

        Args:
            deep: Whether to include the hyperparameters of nested estimators, as ``"outcome__alpha"``.
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
        """Set hyperparameters by name (``outcome__alpha`` for a nested estimator); unknown names are refused."""
        nested: dict[str, dict[str, Any]] = {}
        for name, value in params.items():
            own, separator, inner = name.partition("__")
            if own not in self._parameter_names():
                raise InputError(name, found="an unknown parameter", expected=f"one of {self._parameter_names()}")
            if separator:
                nested.setdefault(own, {})[inner] = value
            else:
                setattr(self, name, value)
        # Nested settings come last, so that outcome=..., outcome__alpha=... sets alpha of the new outcome.
        for own, settings in nested.items():
            getattr(self, own).set_params(**settings)
        return self

    def _check_domains(self) -> None:
        """Refuse hyperparameters out of their domains, by name; every ``fit`` calls it before it looks at the data.

        NumPy's scalars become Python's numbers of the same value.
        """
        given = self.get_params(deep=False)
        values = {name: plain(value) for name, value in given.items()}
        check_domains(self._domains, values)
        for name, value in values.items():
            if value is not given[name]:
                setattr(self, name, value)

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self).__init__).parameters
        # Values are compared by repr, since comparing a wrong value, such as an array, might itself raise an error.
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params(deep=False).items()
            if repr(parameters[name].default) != repr(value)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"

    def __getattr__(self, name: str) -> Any:
        # This runs only when the ordinary lookup fails. A fitted attribute before fit gets a clear error.
        fitted = any(known.endswith("_") and not known.startswith("_") for known in self.__dict__)
        if name.endswith("_") and not name.startswith("_") and not fitted:
            own = ", ".join(list(inspect.signature(type(self).fit).parameters)[1:3])
            raise NotFittedError(f"{type(self).__name__} is not fitted: call fit({own}, ...) before using {name}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        """A block that computes in the precision of this class, whatever the global setting."""
        with jax.enable_x64(self._precision == "float64"):
            yield


class Transformer(Estimator):
    """An estimator with ``fit`` and ``transform`` that can be a step of scikit-learn's pipelines."""

    def __sklearn_tags__(self) -> Any:
        # Only scikit-learn calls this, so it is installed.
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=True, two_d_labels=True),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(),
        )
