"""Claims about medians over replications: errors of nonparametric methods have heavy tails, and means follow them."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from causalrep.study import Estimate, Holds, estimate, select, unit_values
from causalrep.study.verdicts.estimates import two_se

# The median's standard error comes from order statistics, which say little below this many replications.
ENOUGH = 20
Where = Mapping[str, Any]


def median_within(
    metric: str, method: str, *, where: Where, low: float = -math.inf, high: float = math.inf, source: str
) -> Holds:
    """The median lies between ``low`` and ``high``; one-sided bounds must be cleared by two standard errors."""
    below, above = f"below {high:g}", f"above {low:g}"
    bounds = below if math.isinf(low) else above if math.isinf(high) else f"in [{low:g}, {high:g}]"
    name = f"median {metric}: {method} {bounds} at {_spelled(where)}"
    return Holds(name, partial(_within, metric, method, dict(where), low, high), source)


def median_ratio(metric: str, numerator: str, denominator: str, *, at_least: float, where: Where, source: str) -> Holds:
    """The ratio of two methods' medians is ``at_least`` so much, by two standard errors (delta method)."""
    name = f"median {metric}: {numerator} at least {at_least:g} times {denominator} at {_spelled(where)}"
    return Holds(name, partial(_ratio, metric, numerator, denominator, at_least, dict(where)), source)


def median_of(frame: pd.DataFrame, metric: str, method: str, where: Where) -> Estimate:
    """The median over replications of one cell."""
    return estimate(unit_values(select(frame, where, method=method, metric=metric), ("replication",)), "median")


def _within(
    metric: str, method: str, where: Where, low: float, high: float, frame: pd.DataFrame
) -> tuple[bool | None, str]:
    found = median_of(frame, metric, method, where)
    detail = f"median {found.value:.4g} ± {found.se:.2g} (n={found.n})"
    if found.n < ENOUGH:
        return None, f"{detail}; {ENOUGH} replications needed"
    margin = two_se(found.n) * found.se
    if math.isinf(low) or math.isinf(high):
        gap = high - found.value if math.isinf(low) else found.value - low
        return (True if gap > margin else False if gap < -margin else None), detail
    if low <= found.value <= high:
        return True, detail
    return (False if found.value < low - margin or found.value > high + margin else None), detail


def _ratio(
    metric: str, numerator: str, denominator: str, at_least: float, where: Where, frame: pd.DataFrame
) -> tuple[bool | None, str]:
    top, bottom = (median_of(frame, metric, method, where) for method in (numerator, denominator))
    ratio = top.value / bottom.value
    # The two medians share data sets; treating them as independent errs on the side of "undecided".
    se = ratio * math.hypot(top.se / top.value, bottom.se / bottom.value)
    detail = f"medians {top.value:.4g} and {bottom.value:.4g}, ratio {ratio:.3g} ± {se:.2g} (n={top.n})"
    if top.n < ENOUGH:
        return None, f"{detail}; {ENOUGH} replications needed"
    gap, margin = ratio - at_least, two_se(top.n) * se
    return (True if gap > margin else False if gap < -margin else None), detail


def _spelled(where: Where) -> str:
    return ", ".join(f"{field}={value}" for field, value in where.items())
