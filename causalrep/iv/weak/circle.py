"""Inversion of any test of one coefficient, on the line closed by a point at infinity.

Every statistic of this room depends on a value b only through the direction (1, -b), up to scale: a point on
a circle, on which infinity is a point like any other. Accepted sets are therefore arcs, which become intervals,
rays or the line, and no search needs an arbitrary largest value. The angle is measured in the metric of
the reduced-form covariance, in which the statistics vary at a bounded rate.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from causalrep.iv.weak.confidence_set import ConfidenceSet

UNIFORM, CLUSTERED, BRACKETS = 1024, 1024, 64
GOLDEN = (math.sqrt(5) - 1) / 2

Excess = Callable[[np.ndarray], np.ndarray]


def invert(excess: Excess, factor: np.ndarray, center: float, concentration: float, **labels: Any) -> ConfidenceSet:
    """The set ``{b : excess <= 0}``.

    A grid finds the sign changes; local extrema that come close to zero between grid points are refined, so
    that thin pieces and thin gaps are seen; bisection then brings each end to working precision.

    Args:
        excess: Maps directions (m, 2), any multiple of (1, -b) in each row, to statistic minus critical
            value (or alpha minus p-value), (m,). Called with ``UNIFORM + CLUSTERED + 1`` or ``BRACKETS``
            rows only.
        factor: Lower Cholesky factor (2, 2) of the covariance of (y, x) given the instruments.
        center: Value near which the set is expected, for instance two-stage least squares.
        concentration: Size of the first-stage statistic: the grid is denser about ``center`` as it grows.
        **labels: ``level``, ``method``, ``parameter`` of the set.
    """
    # Whitened directions u = L' d. The angle omega runs from b = infinity (0) round to b = infinity again (pi).
    pole = factor.T @ np.array([0.0, 1.0])
    start = math.atan2(pole[1], pole[0])

    def directions(omega: np.ndarray) -> np.ndarray:
        u = np.stack([np.cos(start + omega), np.sin(start + omega)])
        return np.linalg.solve(factor.T, u).T

    def f(omega: np.ndarray) -> np.ndarray:
        return np.nan_to_num(np.asarray(excess(directions(omega))), nan=0.0)

    whitened = factor.T @ np.array([1.0, -center])
    middle = (math.atan2(whitened[1], whitened[0]) - start) % math.pi
    spread = 1.0 / math.sqrt(1.0 + max(concentration, 0.0))
    turns = (np.arange(CLUSTERED) + 0.5) / CLUSTERED * math.pi - math.pi / 2
    near = (middle + np.arctan(spread * np.tan(turns))) % math.pi
    omega = np.sort(np.concatenate([np.linspace(0.0, math.pi, UNIFORM + 1), near]))
    value = f(omega)
    omega, value = _with_refined_extrema(f, omega, value)

    accepted = value <= 0
    change = np.flatnonzero(accepted[1:] != accepted[:-1])
    ends = _padded(_bisect, f, omega[change], omega[change + 1], accepted[change])
    d = directions(ends)
    values = -d[:, 1] / d[:, 0]
    # As omega runs from 0 to pi, b is monotone: increasing or decreasing, depending on the orientation of the factor.
    first = directions(np.array([1e-3, 2e-3]))
    upward = bool(np.diff(-first[:, 1] / first[:, 0])[0] > 0)
    inf = math.inf if upward else -math.inf
    bounds = [*([-inf] if accepted[0] else []), *values.tolist(), *([inf] if accepted[-1] else [])]
    pairs = zip(bounds[::2], bounds[1::2], strict=True)
    return ConfidenceSet(tuple((min(pair), max(pair)) for pair in pairs), **labels)


def _with_refined_extrema(f: Excess, omega: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add the minima among rejected points, and maxima among accepted ones, if they change sign."""
    sign = np.where(value[1:-1] > 0, 1.0, -1.0)
    left, right = sign * (value[:-2] - value[1:-1]), sign * (value[2:] - value[1:-1])
    same = (value[:-2] > 0) & (value[1:-1] > 0) & (value[2:] > 0) | (value[:-2] <= 0) & (value[1:-1] <= 0) & (
        value[2:] <= 0
    )
    at = 1 + np.flatnonzero(same & (left >= 0) & (right >= 0))
    # Only the extrema closest to zero can cross it.
    at = np.sort(at[np.argsort(np.abs(value[at]))[:BRACKETS]])
    if not at.size:
        return omega, value
    extremum = _padded(_golden, f, omega[at - 1], omega[at + 1], value[at] > 0)
    height = _padded(lambda g, a, *_: g(a), f, extremum, extremum, extremum > 0)
    crossed = (height > 0) != (value[at] > 0)
    omega, value = np.concatenate([omega, extremum[crossed]]), np.concatenate([value, height[crossed]])
    order = np.argsort(omega, kind="stable")
    return omega[order], value[order]


def _bisect(f: Excess, a: np.ndarray, b: np.ndarray, accepted_at_a: np.ndarray) -> np.ndarray:
    for _ in range(54):
        middle = (a + b) / 2
        like_a = (f(middle) <= 0) == accepted_at_a
        a, b = np.where(like_a, middle, a), np.where(like_a, b, middle)
    return (a + b) / 2


def _golden(f: Excess, a: np.ndarray, b: np.ndarray, minimize: np.ndarray) -> np.ndarray:
    sign = np.where(minimize, 1.0, -1.0)
    for _ in range(40):
        c, d = b - GOLDEN * (b - a), a + GOLDEN * (b - a)
        lower = sign * (f(c) - f(d)) < 0
        a, b = np.where(lower, a, c), np.where(lower, d, b)
    return (a + b) / 2


def _padded(solve: Callable, f: Excess, a: np.ndarray, b: np.ndarray, flag: np.ndarray) -> np.ndarray:
    """Run the solver in batches of one fixed size, so that the compiled statistic is reused."""
    out = []
    for i in range(0, len(a), BRACKETS):
        width = (0, BRACKETS - len(a[i : i + BRACKETS]))
        batch = [np.pad(v[i : i + BRACKETS], width, mode="edge") for v in (a, b, flag)]
        out.append(solve(f, *batch)[: BRACKETS - width[1]])
    return np.concatenate(out) if out else np.empty(0)
