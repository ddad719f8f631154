"""Claims: what a faithful reproduction must show, as code that can fail.

A claim is *held* when the records satisfy it, *failed* when they contradict it by more than two standard errors, and
*undecided* in between.

- A comparison (an ordering, a monotone trend, a one-sided bound) is held only if it clears zero by two standard errors
  as well, since a difference within the noise shows nothing. A two-sided band already contains its author's allowance
  for Monte Carlo error, so a mean inside it holds.
- "Two" is widened by Student's t for few units. A single unit (a deterministic quantity) has no standard error and is
  judged by the point.
- Comparisons are paired: both sides are averaged within each unit, and the standard error is that of the difference.
- Values that are not finite are never dropped: they leave a claim undecided, and its detail says so.
- A claim that matches no rows is an error, since it would otherwise hold without saying anything.

Claims that compare our numbers with reported ones are in :mod:`causalrep.study.verdicts.printed`.
"""

import abc
import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from causalrep.base.validation import check_choice
from causalrep.errors import InputError
from causalrep.study.verdicts.estimates import (
    Estimate,
    Status,
    Where,
    difference,
    estimate,
    exceeds,
    inside,
    nothing_selected,
    score,
    select,
    shown,
    unit_values,
)

Side = str | tuple[str, Where]

# The standard error of a median comes from order statistics, which say little below this many units.
ENOUGH = 20


@dataclasses.dataclass(frozen=True)
class ClaimResult:
    """The verdict on one claim.

    Attributes:
        name: The claim.
        status: ``"held"``, ``"failed"`` or ``"undecided"``.
        statistic: The number it was judged by; None if there is none, or it is not finite.
        se: Its standard error, or None.
        n: Number of independent units.
        detail: The numbers behind the verdict, as a sentence.
        source: Where the paper says so.
    """

    name: str
    status: Status
    statistic: float | None
    se: float | None
    n: int
    detail: str
    source: str = ""


class Claim(Protocol):
    """Anything with a name that judges records."""

    @property
    def name(self) -> str:
        """A short sentence."""
        ...

    def evaluate(self, frame: pd.DataFrame) -> ClaimResult:
        """The verdict on these records."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MetricClaim(abc.ABC):
    """The base of all claims about a metric.

    Attributes:
        metric: The metric.
        where: Setting fields and methods that the claim is restricted to.
        unit: Columns that index independent units; ``()`` for a deterministic quantity.
        name: A short sentence; built from the fields if left out.
        source: Where the paper says so.
        min_replications: The fewest independent units that decide it.
    """

    metric: str
    where: Where = dataclasses.field(default_factory=dict)
    unit: tuple[str, ...] = ("replication",)
    name: str = ""
    source: str = ""
    min_replications: int = 1

    def __post_init__(self) -> None:
        self._check()
        if not self.name:
            object.__setattr__(self, "name", self._default_name())

    def evaluate(self, frame: pd.DataFrame) -> ClaimResult:
        """The verdict on these records.

        Raises:
            InputError: If the claim matches no rows.
        """
        status, judged, detail = self._judge(frame)
        if not math.isfinite(judged.value):
            status, detail = "undecided", f"{detail}; some values are not finite"
        elif judged.n < self.min_replications:
            status, detail = "undecided", f"{detail}; {judged.n} units, {self.min_replications} needed"
        return ClaimResult(self.name, status, _number(judged.value), _number(judged.se), judged.n, detail, self.source)

    def _values(self, frame: pd.DataFrame, side: Side) -> pd.Series:
        method, where = side if isinstance(side, tuple) else (side, {})
        where = {**self.where, **where}
        rows = select(frame, where, metric=self.metric, method=method)
        if rows.empty:
            raise nothing_selected(f"claim {self.name!r}", frame, self.metric, where, method)
        return unit_values(rows, self.unit)

    def _suffix(self) -> str:
        return f" at {_spelled(self.where)}" if self.where else ""

    def _check(self) -> None:  # noqa: B027  (most claims have nothing to check)
        """Refuse a claim that says nothing, when it is made."""

    @abc.abstractmethod
    def _default_name(self) -> str:
        """The name of a claim that its author gave none."""

    @abc.abstractmethod
    def _judge(self, frame: pd.DataFrame) -> tuple[Status, Estimate, str]:
        """The status, the number it rests on, and the detail."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Ordering(MetricClaim):
    """The methods' means increase strictly in the order given.

    Attributes:
        methods: Two or more methods. A method may be a pair ``(method, where)``, to compare cells. All adjacent pairs
            must hold, and one failed pair fails the claim.
    """

    methods: tuple[Side, ...]

    def _check(self) -> None:
        if isinstance(self.methods, str) or len(self.methods) < 2:
            raise InputError("methods", found=str(self.methods), expected="two or more, in increasing order")

    def _default_name(self) -> str:
        return f"{self.metric}: " + " < ".join(_label(side) for side in self.methods) + self._suffix()

    def _judge(self, frame: pd.DataFrame) -> tuple[Status, Estimate, str]:
        values = [self._values(frame, side) for side in self.methods]
        gaps = [difference(low, high) for low, high in itertools.pairwise(values)]
        verdicts = [exceeds(gap, 0.0) for gap in gaps]
        tightest = min(range(len(gaps)), key=lambda i: score(gaps[i]))
        means = ", ".join(f"{_label(side)} {np.mean(v):.4g}" for side, v in zip(self.methods, values, strict=True))
        pair = f"{_label(self.methods[tightest])} to {_label(self.methods[tightest + 1])}"
        return (
            _all(verdicts),
            gaps[tightest],
            f"means: {means}; tightest gap, {pair}: {shown(gaps[tightest])}",
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Ratio(MetricClaim):
    """The ratio of two means or medians lies between ``low`` and ``high``; either may be left out.

    The delta method gives the standard error. With r the ratio of the means of a and b, it is that of the mean of
    ``(a - r b) / mean(b)`` over paired units. Medians count as independent although they share data sets: leaving out
    their covariance errs on the side of "undecided".

    Attributes:
        numerator: A method, or a pair ``(method, where)``.
        denominator: The same.
        low: Least ratio.
        high: Greatest ratio.
        aggregate: ``"mean"``, or ``"median"`` for errors with heavy tails; medians need 20 units.
    """

    numerator: Side
    denominator: Side
    low: float | None = None
    high: float | None = None
    aggregate: Literal["mean", "median"] = "mean"

    def _check(self) -> None:
        _check_bounds(self.low, self.high)
        _check_aggregate(self, ("mean", "median"))

    def _default_name(self) -> str:
        sides = f"{_label(self.numerator)} / {_label(self.denominator)}"
        return f"{_of(self)}: {sides} {_bounds(self.low, self.high)}{self._suffix()}"

    def _judge(self, frame: pd.DataFrame) -> tuple[Status, Estimate, str]:
        top, bottom = self._values(frame, self.numerator), self._values(frame, self.denominator)
        a, b = estimate(top, self.aggregate), estimate(bottom, self.aggregate)
        ratio = a.value / b.value if b.value != 0.0 else math.nan
        if self.aggregate == "mean" and top.index.equals(bottom.index):
            judged = Estimate(ratio, estimate((top - ratio * bottom) / b.value).se, len(top))
        else:
            # d(a / b) = da / b - (a / b) db / b
            judged = Estimate(ratio, math.hypot(a.se, ratio * b.se) / (abs(b.value) or math.nan), min(a.n, b.n))
        sides = "" if self.aggregate == "mean" else f"medians {a.value:.4g} and {b.value:.4g}, "
        return inside(judged, self.low, self.high), judged, f"{sides}ratio {shown(judged)}"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Within(MetricClaim):
    """A method's mean, its median, or every value lies between ``low`` and ``high``; either may be left out.

    Attributes:
        method: The method.
        low: Least value.
        high: Greatest value.
        aggregate: ``"mean"``; ``"median"`` for errors with heavy tails, which needs 20 units; or ``"every"`` for
            quantities that are exact in theory: each value is judged by itself, and one that is not finite fails.
    """

    method: str
    low: float | None = None
    high: float | None = None
    aggregate: Literal["mean", "median", "every"] = "mean"

    def _check(self) -> None:
        _check_bounds(self.low, self.high)
        _check_aggregate(self, ("mean", "median", "every"))

    def _default_name(self) -> str:
        return f"{_of(self)}: {self.method} {_bounds(self.low, self.high)}{self._suffix()}"

    def _judge(self, frame: pd.DataFrame) -> tuple[Status, Estimate, str]:
        units = self._values(frame, self.method)
        if self.aggregate != "every":
            judged = estimate(units, self.aggregate)
            return inside(judged, self.low, self.high), judged, f"{self.aggregate} {shown(judged)}"
        values = select(frame, self.where, metric=self.metric, method=self.method)["value"]
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        fitting = values.between(low, high) & np.isfinite(values)
        detail = f"{fitting.sum()} of {len(values)}; from {values.min():.2g} to {values.max():.2g}"
        return "held" if fitting.all() else "failed", Estimate(float(fitting.mean()), math.nan, len(units)), detail


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Monotone(MetricClaim):
    """A method's mean only rises, or only falls, along a setting field.

    The claim is held if the change from the first value to the last is in the direction by two standard errors and no
    step goes against it by that much; it is failed if the whole change or some step contradicts it. The level for
    single steps is split over the steps, since among many flat steps one would pass two standard errors by chance.

    Attributes:
        method: The method.
        along: The setting field.
        direction: ``"increasing"`` or ``"decreasing"``.
    """

    method: str
    along: str
    direction: Literal["increasing", "decreasing"]

    def _check(self) -> None:
        check_choice("direction", self.direction, ("increasing", "decreasing"))

    def _default_name(self) -> str:
        return f"{self.metric}: {self.method} {self.direction} in {self.along}{self._suffix()}"

    def _judge(self, frame: pd.DataFrame) -> tuple[Status, Estimate, str]:
        rows = select(frame, self.where, metric=self.metric, method=self.method)
        if rows.empty:
            raise nothing_selected(f"claim {self.name!r}", frame, self.metric, self.where, self.method)
        if self.along not in frame.columns:
            raise InputError("along", found=repr(self.along), expected=f"one of {list(frame.columns)}")
        levels = sorted(set(rows[self.along]))
        if len(levels) < 2:
            raise InputError(f"claim {self.name!r}", found=f"{self.along} in {levels}", expected="two or more values")
        values = [self._values(frame, (self.method, {self.along: level})) for level in levels]
        if self.direction == "decreasing":
            values, levels = values[::-1], levels[::-1]
        whole = difference(values[0], values[-1])
        steps = [difference(a, b) for a, b in itertools.pairwise(values)]
        worst = min(range(len(steps)), key=lambda i: score(steps[i]))
        against = exceeds(steps[worst], 0.0, comparisons=len(steps)) == "failed" and steps[worst].value < 0
        status = "failed" if against else exceeds(whole, 0.0)
        detail = f"change from {self.along}={levels[0]:g} to {levels[-1]:g}: {shown(whole)}"
        step = f"least step, {levels[worst]:g} to {levels[worst + 1]:g}: {shown(steps[worst])}"
        return status, whole, f"{detail}; {step}"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RelativeGain(MetricClaim):
    """A method's mean error is below another's by a share of more than ``more_than``.

    The gain is ``1 - mean(error of method) / mean(error of over)``; its standard error is that of the paired difference
    over the mean of ``over``.

    Attributes:
        method: The method, or a pair ``(method, where)``.
        over: The method it is compared with.
        more_than: The share that must be exceeded.
    """

    method: Side
    over: Side
    more_than: float = 0.0
    min_replications: int = 2

    def _default_name(self) -> str:
        gain = f"relative gain of {_label(self.method)} over {_label(self.over)} above {self.more_than:g}"
        return f"{self.metric}: {gain}{self._suffix()}"

    def _judge(self, frame: pd.DataFrame) -> tuple[Status, Estimate, str]:
        ours, theirs = self._values(frame, self.method), self._values(frame, self.over)
        gain = difference(ours / float(np.mean(theirs)), theirs / float(np.mean(theirs)))
        detail = f"relative gain {gain.value:.3f} ± {gain.se:.3f} (paired, n={gain.n})"
        return exceeds(gain, self.more_than), gain, detail


@dataclasses.dataclass(frozen=True, eq=False)
class Holds:
    """Any other claim, as a function.

    Attributes:
        name: A short sentence.
        function: A function from records to ``(True | False | None, sentence)``; None leaves it undecided.
        source: Where the paper says so.
    """

    name: str
    function: Callable[[pd.DataFrame], tuple[bool | None, str]]
    source: str = ""

    def evaluate(self, frame: pd.DataFrame) -> ClaimResult:
        """The function's verdict on these records."""
        verdict, detail = self.function(frame)
        status: Status = "undecided" if verdict is None else "held" if verdict else "failed"
        return ClaimResult(self.name, status, None, None, int(frame["replication"].nunique()), detail, self.source)


def _check_bounds(low: float | None, high: float | None) -> None:
    """Refuse a claim without a bound, or with bounds in the wrong order."""
    if low is None and high is None:
        raise InputError("low, high", found="neither", expected="at least one bound")
    if low is not None and high is not None and low > high:
        raise InputError("low, high", found=f"{low:g} > {high:g}", expected="low at most high")


def _check_aggregate(claim: "Ratio | Within", choices: tuple[str, ...]) -> None:
    check_choice("aggregate", claim.aggregate, choices)
    if claim.aggregate == "median":
        object.__setattr__(claim, "min_replications", max(claim.min_replications, ENOUGH))


def _of(claim: "Ratio | Within") -> str:
    return claim.metric if claim.aggregate == "mean" else f"{claim.aggregate} {claim.metric}"


def _all(verdicts: list[Status]) -> Status:
    return "failed" if "failed" in verdicts else "undecided" if "undecided" in verdicts else "held"


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _label(side: Side) -> str:
    """``method``, or ``method [n=100]`` for one cell of it."""
    return f"{side[0]} [{_spelled(side[1])}]" if isinstance(side, tuple) else side


def _spelled(where: Mapping[str, Any]) -> str:
    """``kappa=0.5, method=x``."""
    return ", ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in where.items())


def _bounds(low: float | None, high: float | None) -> str:
    """``at most 2``, ``at least 1`` or ``within [1, 2]``."""
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"within [{low:g}, {high:g}]"
