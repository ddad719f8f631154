"""Figures of inference with instruments: p-values against the coefficient, and sets that may be unbounded."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from causalrep.errors import InputError
from causalrep.iv.weak.confidence_set import ConfidenceSet

# Distinguishable with any color vision (Okabe and Ito).
BOUNDED, NOT_BOUNDED = "#0072B2", "#D55E00"


def plot_confidence_curves(
    p_values: Mapping[str, Callable[[np.ndarray], np.ndarray] | np.ndarray],
    grid: Sequence[float] | np.ndarray,
    *,
    sets: Mapping[str, ConfidenceSet] | None = None,
    alpha: float = 0.05,
    parameter: str = "coefficient",
    ax: Axes | None = None,
) -> Axes:
    """P-value of each test against the hypothesised value, with the level and the accepted sets marked.

    Args:
        p_values: Test name -> p-values on the grid, or a function that computes them.
        grid: Hypothesised values, (m,).
        sets: Test name -> accepted set, drawn as a bar under the curves in the color of its curve.
        alpha: Size of the test: a dotted line.
        parameter: Label of the horizontal axis.
        ax: Axes to draw on; new ones by default.
    """
    values = np.asarray(grid, dtype=float)
    if values.ndim != 1 or len(values) < 2:
        raise InputError("grid", found=f"shape {values.shape}", expected="a vector of at least two values")
    ax = ax or plt.subplots(figsize=(7, 4))[1]
    bar = -0.06
    for name, p_value in p_values.items():
        heights = np.asarray(p_value(values) if callable(p_value) else p_value, dtype=float)
        if heights.shape != values.shape:
            raise InputError("p_values", found=f"shape {heights.shape} for {name!r}", expected=f"{values.shape}")
        (line,) = ax.plot(values, heights, lw=1.8, label=name)
        if sets and name in sets:
            _draw_set(ax, sets[name], bar, (values.min(), values.max()), color=line.get_color(), lw=4)
            bar -= 0.05
    ax.axhline(alpha, color="0.4", ls=":", lw=1)
    ax.annotate(f"{alpha:g}", (1.01, alpha), xycoords=("axes fraction", "data"), va="center", color="0.4")
    ax.set(xlim=(values.min(), values.max()), ylim=(bar, 1.03), xlabel=parameter, ylabel="p-value")
    ax.set_yticks(np.linspace(0, 1, 6))
    ax.legend(frameon=False, loc="upper right")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_intervals(
    sets: Mapping[str, ConfidenceSet | tuple[float, float]],
    *,
    estimates: Mapping[str, float] | None = None,
    reference: float | None = None,
    limits: tuple[float, float] | None = None,
    parameter: str = "coefficient",
    ax: Axes | None = None,
) -> Axes:
    """A forest plot with one row per method: unbounded sets have another color and end in arrows.

    Args:
        sets: Row label -> set, or a pair (low, high).
        estimates: Row label -> point estimate, drawn as a dot.
        reference: A value to mark with a vertical line, for instance zero or the truth.
        limits: Horizontal range; by default the finite ends and the estimates with a margin.
        parameter: Label of the horizontal axis.
        ax: Axes to draw on; new ones by default.
    """
    if not sets:
        raise InputError("sets", found="none", expected="at least one set")
    rows = {n: s if isinstance(s, ConfidenceSet) else ConfidenceSet(((s[0], s[1]),)) for n, s in sets.items()}
    estimates = dict(estimates or {})
    limits = limits or _limits(rows.values(), [*estimates.values(), *([] if reference is None else [reference])])
    ax = ax or plt.subplots(figsize=(7, 0.6 + 0.45 * len(rows)))[1]
    for row, (name, accepted) in enumerate(rows.items()):
        color = BOUNDED if accepted.intervals and accepted.is_bounded else NOT_BOUNDED
        _draw_set(ax, accepted, row, limits, color=color, lw=2.5)
        if not accepted.intervals:
            ax.text(sum(limits) / 2, row, "empty: rejected at every value", ha="center", va="center", color=color)
        if name in estimates:
            ax.plot(estimates[name], row, "o", color=color, ms=7, mec="white", zorder=3)
    if reference is not None:
        ax.axvline(reference, color="0.4", ls=":", lw=1, zorder=0)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set(xlim=limits, ylim=(len(rows) - 0.5, -0.5), xlabel=parameter)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0, pad=12)  # room for the arrows
    return ax


def _draw_set(ax: Axes, accepted: ConfidenceSet, height: float, limits: tuple[float, float], **style: Any) -> None:
    low_limit, high_limit = limits
    color = style["color"]
    for low, high in accepted.intervals:
        left, right = max(low, low_limit), min(high, high_limit)
        if left > right:
            continue
        ax.plot([left, right], [height, height], solid_capstyle="butt", **style)
        for end, limit, marker in ((low, low_limit, "<"), (high, high_limit, ">")):
            if (marker == "<" and end < limit) or (marker == ">" and end > limit):
                ax.plot(limit, height, marker=marker, color=color, ms=style["lw"] * 3, clip_on=False, zorder=4)
            elif math.isfinite(end):
                ax.plot(end, height, marker="|", color=color, ms=style["lw"] * 3, mew=1.8)


def _limits(sets: Any, points: Sequence[float]) -> tuple[float, float]:
    ends = [end for s in sets for pair in s.intervals for end in pair if math.isfinite(end)]
    finite = [*ends, *points] or [0.0]
    low, high = min(finite), max(finite)
    margin = 0.15 * (high - low) or max(1.0, abs(low))
    return low - margin, high + margin
