"""From records to one number with its standard error, and from that number to a verdict."""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from causalrep.errors import InputError

Where = Mapping[str, Any]
Status = Literal["held", "failed", "undecided"]


class Estimate(NamedTuple):
    """A number with its uncertainty.

    Attributes:
        value: The number.
        se: Its standard error; NaN for a single unit.
        n: Number of independent units.
    """

    value: float
    se: float
    n: int


def select(frame: pd.DataFrame, where: Where | None = None, **equal: Any) -> pd.DataFrame:
    """The rows whose columns equal the given values; a list or tuple means any of its values.

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


def nothing_selected(who: str, frame: pd.DataFrame, metric: str, where: Where, method: str | None = None) -> InputError:
    """The error of a claim, table or figure that no record matches; it lists the methods and metrics there are."""
    sought = ([f"method {method!r}"] if method else []) + [f"metric {metric!r}"] + ([str(dict(where))] if where else [])
    return InputError(
        who,
        found=f"no rows with {', '.join(sought)}",
        expected=f"methods {sorted(set(frame['method']))}, metrics {sorted(set(frame['metric']))}",
    )


def matches(column: pd.Series, value: Any) -> np.ndarray:
    """Mask of the entries that equal ``value``; numbers to 12 digits, since they may be typed or computed."""
    if column.dtype.kind in "if" and isinstance(value, int | float | np.number):
        return np.isclose(column.to_numpy(float), float(value), rtol=1e-12, atol=0.0)
    return (column == value).to_numpy(bool)


def unit_values(frame: pd.DataFrame, unit: tuple[str, ...]) -> pd.Series:
    """Values averaged within each independent unit, indexed by unit; ``unit=()`` treats all rows as one unit.

    Cells that share a replication's random numbers are not independent observations. Averaging them first keeps their
    correlation out of the standard error.
    """
    for column in unit:
        if column not in frame.columns:
            raise InputError("unit", found=repr(column), expected=f"columns among {list(frame.columns)}")
    if not unit:
        return pd.Series([_mean(frame["value"])], index=pd.Index([0]))
    return frame.groupby(list(unit), sort=True)["value"].agg(_mean)


def estimate(values: pd.Series | np.ndarray, aggregate: Literal["mean", "median"] = "mean") -> Estimate:
    """Mean or median of independent units, with its standard error.

    The standard error of the median assumes no distribution. The number of units below the true median is binomial
    (n, 1/2), with a standard deviation of ``sqrt(n) / 2``; the standard error is half the distance between the order
    statistics so many ranks above and below the median.
    """
    values = np.asarray(values, float)
    n = len(values)
    if aggregate == "median":
        ranks = np.sort(values)
        center, half = (n - 1) / 2, np.sqrt(n) / 2
        low, high = np.interp([center - half, center + half], np.arange(n), ranks)
        value = float(np.median(values))
        return Estimate(value, float(high - low) / 2 if n > 1 else np.nan, n)
    with np.errstate(invalid="ignore"):
        return Estimate(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else np.nan, n)


def two_se(n: int, comparisons: int = 1) -> float:
    """The number of standard errors that decides: 2, widened by Student's t for few units and split over comparisons.

    >>> round(two_se(10**6), 2), round(two_se(4), 2)
    (2.0, 3.31)
    """
    return float(stats.t.isf(stats.norm.sf(2.0) / comparisons, n - 1)) if n > 1 else 0.0


def difference(low: pd.Series, high: pd.Series) -> Estimate:
    """``high - low``: paired if both have the same units, as of independent samples otherwise."""
    if low.index.equals(high.index):
        return estimate(high - low)
    a, b = estimate(low), estimate(high)
    return Estimate(b.value - a.value, math.hypot(a.se, b.se), min(a.n, b.n))


def _margin(judged: Estimate, comparisons: int = 1) -> float:
    return two_se(judged.n, comparisons) * judged.se if judged.n > 1 else 0.0


def exceeds(judged: Estimate, bound: float, comparisons: int = 1) -> Status:
    """Whether an estimate is above a bound, by two standard errors; ``comparisons`` splits the level."""
    gap, margin = judged.value - bound, _margin(judged, comparisons)
    if gap > margin:
        return "held"
    return "failed" if gap < -margin or margin == 0.0 else "undecided"


def inside(judged: Estimate, low: float | None, high: float | None) -> Status:
    """Whether an estimate is inside a band, or on the right side of a single bound by two standard errors."""
    margin = _margin(judged)
    if low is None or high is None:
        gap = judged.value - low if low is not None else (np.inf if high is None else high) - judged.value
        if gap > margin or (margin == 0.0 and gap == 0.0):
            return "held"
        return "failed" if gap < -margin or margin == 0.0 else "undecided"
    if low <= judged.value <= high:
        return "held"
    return "failed" if judged.value < low - margin or judged.value > high + margin else "undecided"


def score(judged: Estimate) -> float:
    """Standard errors above zero; without a standard error, the value."""
    if not math.isfinite(judged.value):
        return -math.inf
    return judged.value / judged.se if judged.n > 1 and judged.se > 0 else judged.value


def shown(judged: Estimate) -> str:
    """``0.824 ± 0.01 (n=32)``."""
    if judged.n == 1:
        return f"{judged.value:.7g} (n=1)"
    return f"{judged.value:.4g} ± {judged.se:.2g} (n={judged.n})"


def _mean(values: pd.Series) -> float:
    # pandas would skip NaN; a failed fit must stay visible.
    return float(np.mean(values.to_numpy(float)))
