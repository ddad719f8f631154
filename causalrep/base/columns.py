"""The columns of one argument: read in ``fit``, and matched by name in whatever is predicted or transformed later."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalrep.base.kinds import to_numbers
from causalrep.errors import CausalrepWarning, InputError


@dataclass(frozen=True)
class Columns:
    """Names of the columns of an argument of ``fit``.

    Attributes:
        argument: The argument.
        names: Its columns' names, or default ones.
        named: Whether a data frame gave the names.
    """

    argument: str
    names: tuple[str, ...]
    named: bool

    def __len__(self) -> int:
        return len(self.names)

    def match(self, value: Any, *, argument: str | None = None, rows: int | None = None) -> np.ndarray:
        """A matrix (m, d) of these columns in the order of ``fit``.

        Columns of a data frame are matched by name if ``fit`` had names. An array has none: its columns are taken as
        they come, with a warning if ``fit`` had names.

        Args:
            value: The user's value.
            argument: Its name in errors; that of ``fit`` by default.
            rows: The required number of rows, if known.

        Raises:
            InputError: If columns are missing, unknown or of the wrong number, or values are not finite numbers.
        """
        argument = argument or self.argument
        array, given = read_columns(argument, value, rows=rows, of="the other arguments")
        if not (self.named and given.named):
            if array.shape[1] != len(self):
                raise InputError(argument, found=f"{array.shape[1]} columns", expected=f"{len(self)}, as in fit")
            if self.named and len(self) > 1:
                warnings.warn(
                    f"{argument} has no column names: its columns are taken as those of fit, {list(self.names)}, in "
                    "this order.",
                    CausalrepWarning,
                    stacklevel=3,
                )
            return array
        if given.names == self.names:
            return array
        missing = [name for name in self.names if name not in given.names]
        unknown = [name for name in given.names if name not in self.names]
        if missing or unknown:
            found = [f"no columns {missing}"] * bool(missing) + [f"columns {unknown} that fit did not see"] * bool(
                unknown
            )
            raise InputError(argument, found=" and ".join(found), expected=f"the columns of fit, {list(self.names)}")
        return array[:, [given.names.index(name) for name in self.names]]


def read_columns(argument: str, value: Any, *, rows: int | None = None, of: str = "Y") -> tuple[np.ndarray, Columns]:
    """A finite float64 matrix (n, d) and its columns; a vector becomes one column. Always a copy.

    Args:
        argument: Name of the argument in errors, such as ``"Z"``.
        value: Anything that :func:`~causalrep.base.kinds.to_numbers` accepts.
        rows: The required number of rows, if known.
        of: What has that number of rows, in errors.

    Raises:
        InputError: If it is empty, not numeric, not finite, or of the wrong shape, or two columns have one name.
    """
    array, names = to_numbers(argument, value)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise InputError(argument, found=f"an array of shape {array.shape}", expected="a vector or a matrix")
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise InputError(argument, found=f"no data (shape {array.shape})", expected="at least one row and column")
    if rows is not None and array.shape[0] != rows:
        raise InputError(argument, found=f"{array.shape[0]} rows", expected=f"{rows} rows, as many as {of}")
    if names is not None and len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError(argument, found=f"several columns named {twice}", expected="a name of its own for each column")
    finite = np.isfinite(array)
    if not finite.all():
        bad = np.argwhere(~finite)
        row, column = bad[0]
        label = names[column] if names else str(column)
        place = f"row {row}" if array.shape[1] == 1 else f"column {label!r}, row {row}"
        values = "value" if len(bad) == 1 else "values"
        raise InputError(
            argument,
            found=f"{len(bad)} missing or infinite {values}, the first in {place}",
            expected="finite numbers (drop or impute them first)",
        )
    return array, Columns(argument, tuple(names or default_names(argument, array.shape[1])), names is not None)


def default_names(argument: str, count: int) -> list[str]:
    """``["T"]`` for one column, ``["T0", "T1", ...]`` for more."""
    return [argument] if count == 1 else [f"{argument}{j}" for j in range(count)]
