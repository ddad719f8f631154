"""Checks of user input: it becomes clean float64 arrays with column names, or an error that names the argument.

Façades call these functions once; the functional core trusts its arguments.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from causalrep.base.columns import read_columns
from causalrep.base.kinds import to_labels
from causalrep.errors import InputError


def as_matrix(argument: str, value: Any, *, rows: int | None = None) -> tuple[np.ndarray, list[str]]:
    """A finite float64 matrix (n, m) and its column names; see :func:`~causalrep.base.columns.read_columns`."""
    array, columns = read_columns(argument, value, rows=rows)
    return array, list(columns.names)


def as_vector(argument: str, value: Any, *, rows: int | None = None) -> tuple[np.ndarray, str]:
    """A finite float64 vector (n,) and its name; a matrix of one column is accepted."""
    array, names = as_matrix(argument, value, rows=rows)
    if array.shape[1] != 1:
        raise InputError(argument, found=f"{array.shape[1]} columns", expected="one column")
    return array[:, 0], names[0]


def as_labels(argument: str, value: Any, *, rows: int, of: str = "Y") -> np.ndarray:
    """Integer codes 0..G-1 (n,) of group labels of any type, with at least two groups; see :func:`code_labels`."""
    return code_labels(argument, value, rows=rows, of=of)[0]


def code_labels(
    argument: str, value: Any, *, rows: int, of: str = "Y", groups: int = 2, sort: bool = False
) -> tuple[np.ndarray, list]:
    """Codes 0..G-1 (n,) of labels of any type, and the label of each code.

    Args:
        argument: Name of the argument in errors.
        value: One label per row.
        rows: The required number of labels.
        of: What has that number of rows, in errors.
        groups: The least number of different labels.
        sort: Whether codes follow the order of the labels, not that of their appearance.

    Raises:
        InputError: If a label is missing (NaN, NaT, None, ``pd.NA`` or masked), the length is wrong, or there are fewer
            groups.
    """
    labels = to_labels(argument, value)
    if len(labels) != rows:
        raise InputError(argument, found=f"{len(labels)} labels", expected=f"{rows}, one for each row of {of}")
    codes, levels = pd.factorize(labels, sort=sort)
    if (codes < 0).any():
        raise InputError(argument, found=f"{int((codes < 0).sum())} missing labels", expected="a label for every row")
    if len(levels) < groups:
        raise InputError(argument, found=f"one group ({levels[0]})", expected="at least two groups")
    return codes.astype(np.int32), pd.Index(levels).tolist()


def check_index_alignment(**values: Any) -> None:
    """Refuse pandas inputs of equal length whose indexes differ, since their rows would be paired wrongly."""
    first_name, first = None, None
    for name, value in values.items():
        if not isinstance(value, pd.Series | pd.DataFrame):
            continue
        if first is None:
            first_name, first = name, value.index
        elif len(first) == len(value.index) and not first.equals(value.index):
            raise InputError(
                name,
                found=f"an index that differs from {first_name}'s",
                expected="the same index in the same order (align them, or pass arrays)",
            )


def check_time_order(argument: str, value: Any, series: np.ndarray | None = None) -> None:
    """Refuse rows whose dates run backwards, where the method takes the order of the rows for that of time.

    Args:
        argument: Name of the argument in errors.
        value: The user's value; only the index of a pandas object has dates.
        series: Code of each row's series (n,), within each of which time must run forward; None for one series.
    """
    index = value.index if isinstance(value, pd.Series | pd.DataFrame) else None
    if not isinstance(index, pd.DatetimeIndex | pd.PeriodIndex | pd.TimedeltaIndex):
        return
    codes = np.zeros(len(index), int) if series is None else series
    if not all(index[codes == code].is_monotonic_increasing for code in np.unique(codes)):
        raise InputError(argument, found="rows out of the order of their dates", expected="rows sorted by their index")


# A column counts as constant if it varies by less than this share of its largest value: a column of .1 has means and
# standard deviations that are rounding.
CONSTANT = 1e-10


def is_constant(x: np.ndarray) -> np.ndarray:
    """Which columns (d,) of a matrix (n, d) are constant up to rounding."""
    return np.ptp(x, axis=0) <= CONSTANT * np.abs(x).max(axis=0)


def check_roles(outcome: tuple[np.ndarray, str] | None, arguments: dict[str, tuple[np.ndarray, Sequence[str]]]) -> None:
    """Refuse a column that plays two roles: the outcome among the others, or one argument's column in another.

    The outcome is compared as it is, since toy data are often a function of it without noise; the others up to units,
    origin and sign.

    Args:
        outcome: The outcome (n,) and its name, or None.
        arguments: A matrix (n, d) and the names of its columns for each argument; the later of two is named.

    Raises:
        InputError: Names both.
    """
    seen: list[tuple[str, str, np.ndarray]] = []
    for argument, (block, names) in arguments.items():
        if outcome is not None:
            same = np.flatnonzero((block == outcome[0][:, None]).all(axis=0))
            if len(same):
                found = f"column {names[int(same[0])]!r}, which is the outcome {outcome[1]!r}"
                raise InputError(argument, found=found, expected="columns other than Y")
        unit = block - block.mean(axis=0)
        lengths = np.linalg.norm(unit, axis=0)
        unit = unit / np.where(lengths > 0, lengths, 1.0)
        for other, known, column in seen:
            same = np.flatnonzero(np.abs(column @ unit) > 1.0 - CONSTANT)
            if len(same):
                found = f"column {names[int(same[0])]!r}, which is column {known!r} of {other} too"
                raise InputError(argument, found=found, expected="one role each")
        seen += [(argument, name, column) for name, column in zip(names, unit.T)]


def check_range(
    argument: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> float:
    """The value as a float, if it is a finite number within the bounds."""
    bounds = [
        ("above", above, lambda number, bound: number > bound),
        ("at least", at_least, lambda number, bound: number >= bound),
        ("below", below, lambda number, bound: number < bound),
        ("at most", at_most, lambda number, bound: number <= bound),
    ]
    given = [(word, bound, holds) for word, bound, holds in bounds if bound is not None]
    expected = "a number " + " and ".join(f"{word} {bound:g}" for word, bound, _ in given) if given else "a finite one"
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number) or not np.isfinite(value):
        raise InputError(argument, found=repr(value), expected=expected)
    if not all(holds(value, bound) for _, bound, holds in given):
        raise InputError(argument, found=f"{value:g}", expected=expected)
    return float(value)


def check_choice(argument: str, value: Any, choices: Sequence[str]) -> str:
    """The value, if it is one of a fixed set of words."""
    if value not in choices:
        raise InputError(argument, found=repr(value), expected="one of " + ", ".join(map(repr, choices)))
    return value


def check_counts(**counts: int | None) -> None:
    """Refuse counts that are not whole numbers of at least 1; ``None`` passes."""
    for argument, value in counts.items():
        if value is not None:
            check_count(argument, value)


def check_count(argument: str, value: Any, *, at_least: int = 1) -> None:
    """Refuse values that are not whole numbers of at least ``at_least``; NumPy's integers are accepted."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or value < at_least:
        raise InputError(argument, found=repr(value), expected=f"a whole number of at least {at_least}")


def check_seed(seed: Any) -> None:
    """Refuse a seed that is not a whole number."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise InputError("seed", found=repr(seed), expected="a whole number")


def check_widths(argument: str, widths: Any, *, empty: bool = True) -> tuple[int, ...]:
    """Widths of hidden layers, as a tuple.

    Args:
        argument: Name of the argument in errors.
        widths: The user's value.
        empty: Whether a network without hidden layers, a linear one, is allowed.
    """
    whole = isinstance(widths, tuple | list) and all(
        isinstance(width, int | np.integer) and not isinstance(width, bool) and width >= 1 for width in widths
    )
    if not whole or not (widths or empty):
        raise InputError(argument, found=repr(widths), expected="whole numbers of at least 1, such as (64, 64)")
    return tuple(int(width) for width in widths)


def as_excluded(Z: Any, X: Any) -> np.ndarray | None:
    """Excluded covariates (n, k), or None. A column that the covariates determine excludes nothing, so it is refused.

    Raises:
        InputError: If a column of ``Z`` is an affine function of the columns of ``X``, a constant for instance.
    """
    if Z is None:
        return None
    x, _ = as_matrix("X", X)
    z, names = as_matrix("Z", Z)
    check_rows("Z", len(z), rows=len(x), of="X")
    ones = np.column_stack([np.ones(len(x)), x])
    # The residual of a determined column is rounding, relative to the size of the column.
    residual = z - ones @ np.linalg.lstsq(ones, z, rcond=None)[0]
    determined = [name for name, part, whole in zip(names, residual.T, z.T) if part.std() <= 1e-8 * np.abs(whole).max()]
    if determined:
        raise InputError(
            "Z", found=f"columns {determined} that X determines", expected="columns that X does not determine"
        )
    return z


def check_rows(argument: str, count: int, *, rows: int, of: str) -> None:
    """Refuse an argument whose number of rows differs from that of the argument named ``of``."""
    if count != rows:
        raise InputError(argument, found=f"{count} rows", expected=f"{rows}, as many as {of}")
