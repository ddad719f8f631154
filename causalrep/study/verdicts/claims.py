"""Claims: what a faithful reproduction must show, as code that can fail.

A claim is *held* when the records satisfy it, *failed* when they contradict it by more than two standard
errors, and
*undecided* between. A comparison (an ordering, a monotone trend, a one-sided bound) is held only when it
clears zero by two
standard errors as well: a difference within the noise shows nothing. A two-sided band already carries its
author's allowance for Monte Carlo error, so a mean inside it holds. "Two" is widened by Student's t for few
units. A single unit (a deterministic quantity) has no standard error and is judged by the point. Comparisons
are
paired: both sides are averaged within each unit, and the standard error is that of the difference. Non-finite
values are
never dropped: they leave a claim undecided and say so. A claim that matches no rows is an error, since it
would otherwise hold by
saying
nothing.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from causalrep.base.validation import check_choice
from causalrep.errors import InputError
from causalrep.study.verdicts.estimates import Estimate, Where, estimate, select, two_se, unit_values

Status = Literal["held", "failed", "undecided"]
Side = str | tuple[str, Where]


@dataclasses.dataclass(frozen=True)
class ClaimResult:
    """The verdict on one claim, with the number behind it."""

    name: str
    status: Status
    statistic: float | None
    se: float | None
    n: int
    detail: str
    source: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Claim:
    """What every claim on a metric has.

    Attributes:
        metric: The metric it speaks of.
        where: Setting fields and methods it is restricted to.
        unit: Columns that index independent units; ``()`` for a deterministic quantity.
        name: A short sentence; built from the fields if left out.
        source: Where the paper says so.
        min_replications: Fewer independent units leave it undecided.
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
        status, found, detail = self._judge(frame)
        if not math.isfinite(found.value):
            status, detail = "undecided", f"{detail}; some values are not finite"
        elif found.n < self.min_replications:
            status, detail = "undecided", f"{detail}; {found.n} units, {self.min_replications} needed"
        return ClaimResult(self.name, status, _number(found.value), _number(found.se), found.n, detail, self.source)

    def _values(self, frame: pd.DataFrame, side: Side) -> pd.Series:
        method, where = side if isinstance(side, tuple) else (side, {})
        where = {**self.where, **where}
        rows = select(frame, where, metric=self.metric, method=method)
        if rows.empty:
            raise InputError(
                f"claim {self.name!r}",
                found=f"no rows with metric {self.metric!r}, method {method!r}, {dict(where)}",
                expected=f"methods {sorted(set(frame['method']))}, metrics {sorted(set(frame['metric']))}",
            )
        return unit_values(rows, self.unit)

    def _suffix(self) -> str:
        return f" at {_spelled(self.where)}" if self.where else ""

    def _check(self) -> None:
        """Refuse a claim that says nothing."""

    def _default_name(self) -> str:
        raise TypeError("a claim names itself")

    def _judge(self, frame: pd.DataFrame) -> tuple[Status, Estimate, str]:
        raise TypeError("a claim judges records")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Ordering(_Claim):
    """The methods' means increase strictly in the order given.

    A method may be a pair ``(method, where)``, to compare cells. All adjacent pairs must hold; one failed
    pair fails it.
    """

    methods: tuple[Side, ...]

    def _check(self) -> None:
        if isinstance(self.methods, str) or len(self.methods) < 2:
            raise InputError("methods", found=str(self.methods), expected="two or more, in increasing order")

    def _default_name(self) -> str:
        return f"{self.metric}: " + " < ".join(_label(side) for side in self.methods) + self._suffix()

    def _judge(self, frame: pd.DataFrame) -> tuple[Status, Estimate, str]:
        values = [self._values(frame, side) for side in self.methods]
        gaps = [_difference(low, high) for low, high in itertools.pairwise(values)]
        verdicts = [_exceeds(gap, 0.0) for gap in gaps]
        tightest = min(range(len(gaps)), key=lambda i: _score(gaps[i]))
        means = ", ".join(f"{_label(side)} {np.mean(v):.4g}" for side, v in zip(self.methods, values, strict=True))
        pair = f"{_label(self.methods[tightest])} to {_label(self.methods[tightest + 1])}"
        return (
            _all(verdicts),
            gaps[tightest],
            f"means: {means}; tightest gap, {pair}: {_shown(gaps[tightest])}",
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Ratio(_Claim):
    """The ratio of two means lies between ``low`` and ``high``; either may be left out.

    The standard error is the delta method's for paired units. Each side is a method or a pair ``(method,
    where)``.
    """

    numerator: Side
    denominator: Side
    low: float | None = None
    high: float | None = None

    def _check(self) -> None:
        _check_bounds(self.low, self.high)

    def _default_name(self) -> str:
        sides = f"{_label(self.numerator)} / {_label(self.denominator)}"
        return f"{self.metric}: {sides} {_bounds(self.low, self.high)}{self._suffix()}"

    def _judge(self, frame: pd.DataFrame) -> tuple[Status, Estimate, str]:
        top, bottom = self._values(frame, self.numerator), self._values(frame, self.denominator)
        mean = float(np.mean(bottom))
        ratio = float(np.mean(top)) / mean if mean != 0.0 else math.nan
        if top.index.equals(bottom.index):
            found = Estimate(ratio, estimate((top - ratio * bottom) / mean).se, len(top))
        else:
            se = math.hypot(estimate(top).se, ratio * estimate(bottom).se) / abs(mean)
            found = Estimate(ratio, se, min(len(top), len(bottom)))
        return _inside(found, self.low, self.high), found, f"ratio {_shown(found)}"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Within(_Claim):
    """A method's mean lies between ``low`` and ``high``; either may be left out."""

    method: str
    low: float | None = None
    high: float | None = None

    def _check(self) -> None:
        _check_bounds(self.low, self.high)

    def _default_name(self) -> str:
        return f"{self.metric}: {self.method} {_bounds(self.low, self.high)}{self._suffix()}"

    def _judge(self, frame: pd.DataFrame) -> tuple[Status, Estimate, str]:
        found = estimate(self._values(frame, self.method))
        return _inside(found, self.low, self.high), found, f"mean {_shown(found)}"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Monotone(_Claim):
    """A method's mean only rises, or only falls, along a setting field.

    Held when the change from the first value to the last is in the direction by two standard errors and no
    step goes against it by that much; failed when the whole change or some step contradicts it. The level for
    single steps is split over the steps, since among many flat steps one would pass two standard errors by
    chance.
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
        if self.along not in frame.columns:
            raise InputError("along", found=repr(self.along), expected=f"one of {list(frame.columns)}")
        levels = sorted(set(rows[self.along]))
        if len(levels) < 2:
            raise InputError(f"claim {self.name!r}", found=f"{self.along} in {levels}", expected="two or more values")
        values = [self._values(frame, (self.method, {self.along: level})) for level in levels]
        if self.direction == "decreasing":
            values, levels = values[::-1], levels[::-1]
        whole = _difference(values[0], values[-1])
        steps = [_difference(a, b) for a, b in itertools.pairwise(values)]
        worst = min(range(len(steps)), key=lambda i: _score(steps[i]))
        against = _exceeds(steps[worst], 0.0, comparisons=len(steps)) == "failed" and steps[worst].value < 0
        status = "failed" if against else _exceeds(whole, 0.0)
        detail = f"change from {self.along}={levels[0]:g} to {levels[-1]:g}: {_shown(whole)}"
        step = f"least step, {levels[worst]:g} to {levels[worst + 1]:g}: {_shown(steps[worst])}"
        return status, whole, f"{detail}; {step}"


@dataclasses.dataclass(frozen=True, eq=False)
class Holds:
    """Any other claim: a function from records to ``(True | False | None, sentence)``; None is undecided."""

    name: str
    function: Callable[[pd.DataFrame], tuple[bool | None, str]]
    source: str = ""

    def evaluate(self, frame: pd.DataFrame) -> ClaimResult:
        """The function's verdict on these records."""
        verdict, detail = self.function(frame)
        status: Status = "undecided" if verdict is None else "held" if verdict else "failed"
        return ClaimResult(self.name, status, None, None, int(frame["replication"].nunique()), detail, self.source)


Claim = Ordering | Ratio | Within | Monotone | Holds


def _difference(low: pd.Series, high: pd.Series) -> Estimate:
    """``high - low``: paired if both have the same units, as of independent samples otherwise."""
    if low.index.equals(high.index):
        return estimate(high - low)
    a, b = estimate(low), estimate(high)
    return Estimate(b.value - a.value, math.hypot(a.se, b.se), min(a.n, b.n))


def _margin(found: Estimate, comparisons: int = 1) -> float:
    return two_se(found.n, comparisons) * found.se if found.n > 1 else 0.0


def _exceeds(found: Estimate, bound: float, comparisons: int = 1) -> Status:
    gap, margin = found.value - bound, _margin(found, comparisons)
    if gap > margin:
        return "held"
    return "failed" if gap < -margin or margin == 0.0 else "undecided"


def _inside(found: Estimate, low: float | None, high: float | None) -> Status:
    margin = _margin(found)
    if low is None or high is None:
        gap = found.value - low if low is not None else high - found.value
        if gap > margin or (margin == 0.0 and gap == 0.0):
            return "held"
        return "failed" if gap < -margin or margin == 0.0 else "undecided"
    if low <= found.value <= high:
        return "held"
    return "failed" if found.value < low - margin or found.value > high + margin else "undecided"


def _check_bounds(low: float | None, high: float | None) -> None:
    if low is None and high is None:
        raise InputError("low, high", found="neither", expected="at least one bound")
    if low is not None and high is not None and low > high:
        raise InputError("low, high", found=f"{low:g} > {high:g}", expected="low at most high")


def _all(verdicts: list[Status]) -> Status:
    return "failed" if "failed" in verdicts else "undecided" if "undecided" in verdicts else "held"


def _score(found: Estimate) -> float:
    """Standard errors above zero; without one, the sign alone orders."""
    if not math.isfinite(found.value):
        return -math.inf
    return found.value / found.se if found.n > 1 and found.se > 0 else found.value


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _shown(found: Estimate) -> str:
    if found.n == 1:
        return f"{found.value:.7g} (n=1)"
    return f"{found.value:.4g} ± {found.se:.2g} (n={found.n})"


def _label(side: Side) -> str:
    return f"{side[0]} [{_spelled(side[1])}]" if isinstance(side, tuple) else side


def _spelled(where: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in where.items())


def _bounds(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"within [{low:g}, {high:g}]"
