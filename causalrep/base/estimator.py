"""scikit-learn's habits, for every façade: parameters by name, a short repr, errors before ``fit``."""

import inspect
from typing import Any, Self

from causalrep.errors import InputError, NotFittedError


class Habits:
    """Hyperparameters are the constructor's arguments, stored under their own names; fitted attributes end in ``_``."""

    @classmethod
    def _parameter_names(cls) -> list[str]:
        parameters = inspect.signature(cls.__init__).parameters.values()
        return sorted(p.name for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Hyperparameters by name."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Set hyperparameters by name; unknown names are refused."""
        for name, value in params.items():
            if name not in self._parameter_names():
                raise InputError(name, found="an unknown parameter", expected=f"one of {self._parameter_names()}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self).__init__).parameters
        # Compared by repr: a wrong value, say an array, must not break the message that shows it.
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if repr(parameters[name].default) != repr(value)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __getattr__(self, name: str) -> Any:
        # Only reached when ordinary look-up fails: a fitted attribute before fit gets a clear error.
        if name.endswith("_") and not name.startswith("_"):
            own = ", ".join(list(inspect.signature(type(self).fit).parameters)[1:3])
            raise NotFittedError(f"{type(self).__name__} is not fitted: call fit({own}, ...) before using {name}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
