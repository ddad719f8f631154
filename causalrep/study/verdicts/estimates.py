"""From records to one number with its standard error: the unit of independence, and the mean across units."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from causalrep.errors import InputError

Where = Mapping[str, Any]


class Estimate(NamedTuple):
    """A value, its standard error (NaN if there is a single unit) and the number of independent units."""

    value: float
    se: float
    n: int


def select(frame: pd.DataFrame, where: Where | None = None, **equal: Any) -> pd.DataFrame:
    """Rows whose columns equal the given values; a list or tuple stands for any of its values.

    Raises:
        InputError: If a column is unknown.
    """
    keep = np.ones(len(frame), bool)
    for column, wanted in {**(where or {}), **equal}.items():
        if column not in frame.columns:
            raise InputError("where", found=f"a column {column!r}", expected=f"one of {list(frame.columns)}")
        options = list(wanted) if isinstance(wanted, list | tuple | set | range | np.ndarray) else [wanted]
        keep &= np.logical_or.reduce([matches(frame[column], option) for option in options])
    return frame[keep]


def matches(column: pd.Series, value: Any) -> np.ndarray:
    """Which entries equal ``value``; numbers to 12 digits, as they may have been typed or computed."""
    if column.dtype.kind in "if" and isinstance(value, int | float | np.number):
        return np.isclose(column.to_numpy(float), float(value), rtol=1e-12, atol=0.0)
    return (column == value).to_numpy(bool)


def unit_values(frame: pd.DataFrame, unit: tuple[str, ...]) -> pd.Series:
    """Values averaged within each independent unit, indexed by unit; ``unit=()`` makes the whole one unit.

    Cells that share a replication's random numbers are not independent observations: averaging them first
    keeps the standard error honest.
    """
    for column in unit:
        if column not in frame.columns:
            raise InputError("unit", found=repr(column), expected=f"columns among {list(frame.columns)}")
    if not unit:
        return pd.Series([_mean(frame["value"])], index=pd.Index([0]))
    return frame.groupby(list(unit), sort=True)["value"].agg(_mean)


def estimate(values: pd.Series | np.ndarray, aggregate: Literal["mean", "median"] = "mean") -> Estimate:
    """Mean or median of independent units, with its standard error.

    The median's standard error is half the spread between the order statistics one binomial standard
    deviation (``sqrt(n) / 2`` ranks) either side of it, which assumes no distribution.
    """
    values = np.asarray(values, float)
    n = len(values)
    if aggregate == "median":
        ranks = np.sort(values)
        centre, half = (n - 1) / 2, np.sqrt(n) / 2
        low, high = np.interp([centre - half, centre + half], np.arange(n), ranks)
        value = float(np.median(values))
        return Estimate(value, float(high - low) / 2 if n > 1 else np.nan, n)
    with np.errstate(invalid="ignore"):
        return Estimate(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else np.nan, n)


def two_se(n: int, comparisons: int = 1) -> float:
    """How many standard errors decide: 2, widened by Student's t for few units and split over comparisons.

    >>> round(two_se(10**6), 2), round(two_se(4), 2)
    (2.0, 3.31)
    """
    return float(stats.t.isf(stats.norm.sf(2.0) / comparisons, n - 1)) if n > 1 else 0.0


def _mean(values: pd.Series) -> float:
    # pandas would skip NaN; a failed fit must stay visible.
    return float(np.mean(values.to_numpy(float)))
