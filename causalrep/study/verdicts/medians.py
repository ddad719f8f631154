"""Claims about medians over replications, for errors with heavy tails, whose means follow a few large values."""

import dataclasses
import math

import pandas as pd

from causalrep.study.verdicts.claims import (
    MetricClaim,
    Side,
    Status,
    bounds,
    check_bounds,
    inside,
    label,
    shown,
)
from causalrep.study.verdicts.estimates import Estimate, estimate

# The standard error of a median comes from order statistics, which say little below this many replications.
ENOUGH = 20


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MedianWithin(MetricClaim):
    """A method's median lies between ``low`` and ``high``; either may be left out.

    A single bound must be cleared by two standard errors, as in :class:`~causalrep.study.Within`.

    Attributes:
        method: The method.
        low: Least median.
        high: Greatest median.
    """

    method: str
    low: float | None = None
    high: float | None = None
    min_replications: int = ENOUGH

    def _check(self) -> None:
        check_bounds(self.low, self.high)

    def _default_name(self) -> str:
        if self.low is None:
            limits = f"below {self.high:g}"
        else:
            limits = f"above {self.low:g}" if self.high is None else f"in [{self.low:g}, {self.high:g}]"
        return f"median {self.metric}: {self.method} {limits}{self._suffix()}"

    def _judge(self, frame: pd.DataFrame) -> tuple[Status, Estimate, str]:
        median = estimate(self._values(frame, self.method), "median")
        return inside(median, self.low, self.high), median, f"median {shown(median)}"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MedianRatio(MetricClaim):
    """The ratio of two medians lies between ``low`` and ``high``; either may be left out.

    The standard error is the delta method's for independent samples: the two medians share data sets, and leaving out
    their covariance errs on the side of "undecided".

    Attributes:
        numerator: A method, or a pair ``(method, where)``.
        denominator: The same.
        low: Least ratio.
        high: Greatest ratio.
    """

    numerator: Side
    denominator: Side
    low: float | None = None
    high: float | None = None
    min_replications: int = ENOUGH

    def _check(self) -> None:
        check_bounds(self.low, self.high)

    def _default_name(self) -> str:
        if self.high is None:
            sides = f"{label(self.numerator)} at least {self.low:g} times {label(self.denominator)}"
        else:
            sides = f"{label(self.numerator)} / {label(self.denominator)} {bounds(self.low, self.high)}"
        return f"median {self.metric}: {sides}{self._suffix()}"

    def _judge(self, frame: pd.DataFrame) -> tuple[Status, Estimate, str]:
        top, bottom = (estimate(self._values(frame, side), "median") for side in (self.numerator, self.denominator))
        n = min(top.n, bottom.n)
        if top.value == 0.0 or bottom.value == 0.0:
            ratio = Estimate(math.nan, math.nan, n)
        else:
            value = top.value / bottom.value
            ratio = Estimate(value, abs(value) * math.hypot(top.se / top.value, bottom.se / bottom.value), n)
        medians = f"medians {top.value:.4g} and {bottom.value:.4g}"
        detail = f"{medians}, ratio {ratio.value:.3g} ± {ratio.se:.2g} (n={n})"
        return inside(ratio, self.low, self.high), ratio, detail
