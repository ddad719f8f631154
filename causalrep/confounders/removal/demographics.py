"""Coding of a table of demographics as numeric columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from causalrep.base.domains import Either, Instance, Optional, Several, Whole
from causalrep.base.kinds import to_numbers, to_pandas
from causalrep.base.validation import is_constant
from causalrep.errors import InputError

# Columns of each variable in the coded matrix: 1 for a continuous one, else its number of levels.
Layout = tuple[int, ...]
# The domain of the hyperparameter ``categorical``: one name or position, or several.
_COLUMN = Either(Whole(0), Instance("a column's name or position", lambda value: isinstance(value, str)))
CATEGORICAL = Optional(Either(_COLUMN, Several(_COLUMN)))


@dataclass(frozen=True)
class Variable:
    """One demographic variable.

    Attributes:
        name: Name of its column.
        levels: Levels of a categorical variable, sorted; empty for a continuous one.
        mean: Mean of a continuous variable.
        sd: Standard deviation of a continuous variable.
    """

    name: str
    levels: tuple = ()
    mean: float = 0.0
    sd: float = 1.0

    def code(self, values: pd.Series) -> np.ndarray:
        """Standardized values (n, 1), or one column per level (n, levels)."""
        if not self.levels:
            try:
                numbers = values.to_numpy(np.float64)
            except (TypeError, ValueError) as error:
                raise InputError("D", found=f"text in {self.name!r}", expected="numbers, as in fit") from error
            return ((numbers - self.mean) / self.sd)[:, None]
        unknown = [value for value in pd.unique(values) if value not in self.levels]
        if unknown:
            raise InputError("D", found=f"levels {unknown} of {self.name!r}", expected=f"among {list(self.levels)}")
        return np.stack([(values == level).to_numpy(np.float64) for level in self.levels], axis=1)


@dataclass(frozen=True)
class Demographics:
    """The coding of demographics: continuous variables standardized, categorical ones with one column per level.

    >>> d = pd.DataFrame({"age": [10.0, 12.0, 14.0], "sex": ["f", "m", "f"]})
    >>> code = Demographics.of(d)
    >>> code.layout, code.encode({"age": 12, "sex": "m"}, rows=1).tolist()
    ((1, 2), [[0.0, 0.0, 1.0]])
    """

    variables: tuple[Variable, ...]

    @classmethod
    def of(cls, D: Any, categorical: Sequence[str | int] | None = None) -> Self:
        """The coding of a table.

        Args:
            D: DataFrame or matrix (n, variables).
            categorical: Names or positions of the categorical variables; by default those that hold text, booleans or
                at most two different values.

        Raises:
            InputError: If a value is missing, or a variable does not vary.
        """
        frame = _frame(D)
        names = list(frame.columns)
        if categorical is None:
            chosen = {name for name in names if _looks_categorical(frame[name])}
        else:
            given = (categorical,) if isinstance(categorical, str | int) else categorical
            chosen = {names[int(c)] if c not in names and c in range(len(names)) else c for c in given}
            if not chosen <= set(names):
                raise InputError("categorical", found=sorted(map(str, chosen - set(names))), expected=f"among {names}")
        return cls(tuple(_variable(frame[name], name in chosen) for name in names))

    @property
    def layout(self) -> Layout:
        """Columns of each variable in the coded matrix."""
        return tuple(len(variable.levels) or 1 for variable in self.variables)

    @property
    def names(self) -> list[str]:
        """Names of the variables."""
        return [variable.name for variable in self.variables]

    def encode(self, D: Any, *, rows: int) -> np.ndarray:
        """The coded matrix (rows, columns) of a table with that many rows, or of one profile for all rows.

        Args:
            D: DataFrame, matrix, or a mapping from names to values.
            rows: Number of rows.

        Raises:
            InputError: If a variable or level is unknown or missing, or the number of rows differs.
        """
        frame = _frame(pd.DataFrame([D]) if isinstance(D, Mapping) else D, self.names)
        absent = [name for name in self.names if name not in frame.columns]
        if absent:
            raise InputError("D", found=f"columns {list(frame.columns)}", expected=f"all of {self.names}")
        if len(frame) not in (1, rows):
            raise InputError("D", found=f"{len(frame)} rows", expected=f"{rows}, or one profile for all")
        coded = np.concatenate([variable.code(frame[variable.name]) for variable in self.variables], axis=1)
        return np.broadcast_to(coded, (rows, coded.shape[1]))


def _frame(D: Any, names: Sequence[str] | None = None) -> pd.DataFrame:
    D = to_pandas(D)
    if isinstance(D, pd.Series) and D.name is not None:
        D = D.to_frame()
    if isinstance(D, np.ma.MaskedArray):
        D = to_numbers("D", D).array
    if isinstance(D, pd.DataFrame):
        frame = D.rename(columns=str)
        twice = list(frame.columns[frame.columns.duplicated()])
        if twice:
            raise InputError("D", found=f"several columns named {twice}", expected="a name for each")
    elif D is None or isinstance(D, Mapping):
        raise InputError("D", found=f"a {type(D).__name__}", expected="a DataFrame or a matrix, one row per subject")
    else:
        values = np.asarray(D)
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or not values.size:
            raise InputError("D", found=f"an array of shape {values.shape}", expected="rows and columns")
        if names is not None and values.shape[1] != len(names):
            raise InputError("D", found=f"{values.shape[1]} columns", expected=f"{len(names)}: {list(names)}")
        frame = pd.DataFrame(values, columns=names or [f"D{j}" for j in range(values.shape[1])])
    dates = [name for name in frame.columns if frame[name].dtype.kind in "mM"]
    if dates:
        raise InputError("D", found=f"dates or times in {dates}", expected="numbers or categories")
    missing = frame.isna().sum()
    if missing.any():
        raise InputError("D", found=f"missing values in {list(missing.index[missing > 0])}", expected="none")
    return frame


def _looks_categorical(values: pd.Series) -> bool:
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return not numeric or values.nunique() <= 2


def _variable(values: pd.Series, categorical: bool) -> Variable:
    name = str(values.name)
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if values.nunique() < 2 or (numeric and is_constant(values.to_numpy(np.float64)[:, None])[0]):
        raise InputError("D", found=f"one value in {name!r}", expected="at least two: nothing to condition on")
    if categorical:
        return Variable(name, levels=tuple(sorted(pd.unique(values), key=str)))
    if not pd.api.types.is_numeric_dtype(values):
        raise InputError("categorical", found=f"{name!r} left out, which is not numeric", expected="its name")
    numbers = values.to_numpy(np.float64)
    if not np.isfinite(numbers).all():
        raise InputError("D", found=f"infinite values in {name!r}", expected="finite numbers")
    return Variable(name, mean=float(numbers.mean()), sd=float(numbers.std()))
