"""Figures of treatment effects: overlap, balance, calibration, uplift, sensitivity."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from causalrep.effects.checks.balance import RULE_OF_THUMB, BalanceTable
from causalrep.effects.checks.calibration import Calibration
from causalrep.effects.checks.overlap import OverlapReport
from causalrep.effects.checks.sensitivity import OLSSensitivity
from causalrep.effects.checks.uplift import UpliftCurve
from causalrep.errors import InputError

# Distinguishable with any color vision (Okabe and Ito).
UNTREATED, TREATED = "#0072B2", "#D55E00"


def plot_overlap(report: OverlapReport, *, bins: int = 30, ax: Axes | None = None) -> Axes:
    """Histogram of propensities, the treated upwards and the untreated downwards.

    Where one side is empty, the rows of the other have no counterpart.

    Args:
        report: From ``overlap_report`` or an estimator's ``overlap()``.
        bins: Number of bars.
        ax: Axes to draw on; new ones by default.
    """
    ax = ax or plt.subplots(figsize=(7, 3.5))[1]
    edges = np.linspace(0, 1, bins + 1)
    for name, mask, sign, color in (
        ("treated", report.treated, 1, TREATED),
        ("untreated", ~report.treated, -1, UNTREATED),
    ):
        heights, _ = np.histogram(report.propensity[mask], edges)
        # Shares, as the arms may differ in size by an order of magnitude.
        ax.bar(
            edges[:-1],
            sign * heights / mask.sum(),
            np.diff(edges),
            align="edge",
            color=color,
            alpha=0.8,
            label=f"{name} (n = {mask.sum():,})",
        )
    if report.trimming > 0:
        for edge in (report.trimming, 1 - report.trimming):
            ax.axvline(edge, color="0.3", ls=":", lw=1)
    ax.axhline(0, color="0.3", lw=0.8)
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0%}")
    ax.set(xlim=(0, 1), xlabel="estimated propensity", ylabel="share of the arm")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_love(table: BalanceTable, *, ax: Axes | None = None) -> Axes:
    """Absolute standardized differences of the covariates before and after weighting, the largest on top.

    Args:
        table: From ``balance_table`` or an estimator's ``balance()``.
        ax: Axes to draw on; new ones by default.
    """
    frame = table.frame.loc[table.frame["difference"].abs().sort_values().index]
    ax = ax or plt.subplots(figsize=(6, 0.8 + 0.28 * len(frame)))[1]
    rows = np.arange(len(frame))
    ax.plot(frame["difference"].abs(), rows, "o", color=TREATED, mfc="white", label="before weighting")
    if "difference_weighted" in frame:
        ax.plot(frame["difference_weighted"].abs(), rows, "o", color=UNTREATED, label="after weighting")
    ax.axvline(RULE_OF_THUMB, color="0.4", ls=":", lw=1)
    ax.set_yticks(rows, list(frame.index))
    ax.set(xlabel="absolute standardized mean difference", xlim=(0, None))
    ax.grid(axis="y", color="0.92")
    ax.set_axisbelow(True)
    ax.legend(frameon=False, loc="lower right")
    ax.spines[["top", "right", "left"]].set_visible(False)
    return ax


def plot_calibration(found: Calibration, *, ax: Axes | None = None) -> Axes:
    """Mean doubly robust score of each group against its mean estimate, with 95% intervals and the diagonal.

    Args:
        found: From ``calibration``.
        ax: Axes to draw on; new ones by default.
    """
    ax = ax or plt.subplots(figsize=(4.5, 4))[1]
    groups = found.groups
    ax.axline((0, 0), slope=1, color="0.6", lw=1, ls="--")
    ax.errorbar(groups["estimate"], groups["score"], 1.96 * groups["se"], fmt="o", color=UNTREATED, capsize=3)
    title = f"slope {found.slope:.2f} ± {found.slope_se:.2f}"
    ax.set(xlabel="estimated effect", ylabel="doubly robust effect", title=title)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_uplift(curves: dict[str, UpliftCurve], *, ax: Axes | None = None) -> Axes:
    """Gain against the share treated, one curve per order of treatment, and the line of treating at random.

    Args:
        curves: Label -> curve.
        ax: Axes to draw on; new ones by default.
    """
    if not curves:
        raise InputError("curves", found="none", expected="at least one curve")
    ax = ax or plt.subplots(figsize=(5.5, 4))[1]
    for name, curve in curves.items():
        se = f" ± {curve.area_se:.2g}" if np.isfinite(curve.area_se) else ""
        ax.plot(curve.share, curve.gain, lw=1.8, label=f"{name} (area {curve.area:.3g}{se})")
    ax.plot([0, 1], [0, next(iter(curves.values())).gain[-1]], color="0.5", ls="--", lw=1, label="at random")
    ax.set(xlim=(0, 1), xlabel="share treated", ylabel="gain per unit")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_confounding(
    found: OLSSensitivity,
    *,
    benchmarks: dict[str, tuple[float, float]] | None = None,
    limit: float = 0.4,
    ax: Axes | None = None,
) -> Axes:
    """Contours of the estimate after adjusting for a confounder of given partial R2 (Cinelli and Hazlett 2020).

    Args:
        found: From ``ols_sensitivity``.
        benchmarks: Label -> ``(r2_d, r2_y)``, from ``found.benchmark(...)``.
        limit: End of both axes.
        ax: Axes to draw on; new ones by default.
    """
    ax = ax or plt.subplots(figsize=(5.5, 4.5))[1]
    grid = np.linspace(0, limit, 41)
    values = np.array([[found.adjusted(d, y)[0] for d in grid] for y in grid])
    lines = ax.contour(grid, grid, values, levels=8, colors="0.6", linewidths=0.8)
    ax.clabel(lines, fontsize=8)
    if values.min() < 0 < values.max():
        ax.contour(grid, grid, values, levels=[0.0], colors=TREATED, linewidths=2)
    for name, (r2_d, r2_y) in (benchmarks or {}).items():
        ax.plot(r2_d, r2_y, "D", color=UNTREATED, ms=6)
        ax.annotate(name, (r2_d, r2_y), xytext=(6, 4), textcoords="offset points")
    ax.set(
        xlabel="confounder's partial R² with the treatment",
        ylabel="confounder's partial R² with the outcome",
        xlim=(0, limit),
        ylim=(0, limit),
    )
    ax.spines[["top", "right"]].set_visible(False)
    return ax
