"""Confidence sets on the real line that need not be intervals.

The inversion of a weak-instrument-robust test can give one interval, two rays, a union, the whole line (the
data say nothing about the parameter) or the empty set (the model is rejected at every value). A pair of
numbers cannot represent these; a :class:`ConfidenceSet` can.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from causalrep.errors import InputError

Interval = tuple[float, float]


@dataclass(frozen=True)
class ConfidenceSet:
    """A finite union of disjoint closed intervals, some of whose ends may be infinite.

    Attributes:
        intervals: ``((low, high), ...)`` in increasing order, disjoint; an infinite end is ``-inf`` or
            ``inf``. Overlapping or touching intervals given at construction are merged.
        level: Nominal coverage, e.g. 0.95.
        method: What was inverted, e.g. ``"Anderson-Rubin"``.
        parameter: Name of the parameter that the set covers.

    >>> rays = ConfidenceSet(((1.2, math.inf), (-math.inf, -0.3)), method="Anderson-Rubin")
    >>> print(rays, rays.kind, rays.is_bounded)
    (-inf, -0.3] ∪ [1.2, inf) rays False
    >>> 0.0 in rays, 2.0 in rays
    (False, True)
    >>> print(rays.complement(), ConfidenceSet.whole_line(), ConfidenceSet.empty())
    [-0.3, 1.2] (-inf, inf) ∅
    """

    intervals: tuple[Interval, ...]
    level: float = 0.95
    method: str = ""
    parameter: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "intervals", _merge(self.intervals))

    @classmethod
    def empty(cls, **labels: Any) -> "ConfidenceSet":
        """The set without any point."""
        return cls((), **labels)

    @classmethod
    def whole_line(cls, **labels: Any) -> "ConfidenceSet":
        """The set of all real numbers."""
        return cls(((-math.inf, math.inf),), **labels)

    @property
    def kind(self) -> str:
        """The shape of the set in one word.

        ``"empty"``, ``"interval"``, ``"ray"`` (one half-line), ``"rays"`` (the complement of an open
        interval), ``"line"``, or ``"union"`` (anything else).
        """
        if not self.intervals:
            return "empty"
        left, right = math.isinf(self.intervals[0][0]), math.isinf(self.intervals[-1][1])
        if len(self.intervals) == 1:
            return "line" if left and right else "ray" if left or right else "interval"
        return "rays" if len(self.intervals) == 2 and left and right else "union"

    @property
    def is_empty(self) -> bool:
        """Whether no value is accepted: the test rejects the model at every value of the parameter."""
        return not self.intervals

    @property
    def is_bounded(self) -> bool:
        """Whether no end is infinite; the empty set is bounded."""
        return all(math.isfinite(end) for interval in self.intervals for end in interval)

    @property
    def length(self) -> float:
        """Total length: 0 if empty, ``inf`` if unbounded."""
        return float(sum(high - low for low, high in self.intervals))

    @property
    def hull(self) -> Interval | None:
        """The smallest interval that holds the set, or None if it is empty."""
        return (self.intervals[0][0], self.intervals[-1][1]) if self.intervals else None

    def contains(self, value: float) -> bool:
        """Whether ``value`` lies in the set, ends included."""
        return any(low <= value <= high for low, high in self.intervals)

    def __contains__(self, value: float) -> bool:
        return self.contains(value)

    def complement(self) -> "ConfidenceSet":
        """The closure of the values outside the set, with the same labels."""
        ends = [-math.inf, *(end for interval in self.intervals for end in interval), math.inf]
        pairs = zip(ends[::2], ends[1::2], strict=True)
        return self._with(pair for pair in pairs if pair[0] < pair[1])

    def union(self, other: "ConfidenceSet") -> "ConfidenceSet":
        """Values in this set or the other; labels are this set's."""
        return self._with((*self.intervals, *other.intervals))

    def intersection(self, other: "ConfidenceSet") -> "ConfidenceSet":
        """Values in both sets; labels are this set's."""
        return self._with(
            (max(a, c), min(b, d)) for a, b in self.intervals for c, d in other.intervals if max(a, c) <= min(b, d)
        )

    def shift(self, offset: float) -> "ConfidenceSet":
        """The set moved by ``offset``."""
        return self._with((low + offset, high + offset) for low, high in self.intervals)

    def __str__(self) -> str:
        return self.format()

    def format(self, spec: str = ".4g") -> str:
        """The set as text, its ends formatted by ``spec``."""
        if not self.intervals:
            return "∅"
        return " ∪ ".join(
            f"{'(' if math.isinf(low) else '['}{low:{spec}}, {high:{spec}}{')' if math.isinf(high) else ']'}"
            for low, high in self.intervals
        )

    def __format__(self, spec: str) -> str:
        return self.format(spec) if spec else str(self)

    def __repr__(self) -> str:
        words = [self.format(".6g"), f"level={self.level:g}"]
        words += [f"{name}={value!r}" for name in ("method", "parameter") if (value := getattr(self, name))]
        return f"ConfidenceSet({', '.join(words)})"

    def _with(self, intervals: Iterable[Interval]) -> "ConfidenceSet":
        return ConfidenceSet(tuple(intervals), self.level, self.method, self.parameter)


def _merge(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    merged: list[Interval] = []
    pairs = [(float(low), float(high)) for low, high in intervals]
    for low, high in sorted(pairs):
        if not low <= high:  # also catches NaN
            raise InputError("intervals", found=f"({low}, {high})", expected="pairs with low <= high")
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)
