"""Figures of a report: mean curves with two-standard-error bands, or any drawing function."""

import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from causalrep.errors import InputError
from causalrep.storage import AnyPath, write_bytes
from causalrep.study.verdicts.estimates import Where, estimate, nothing_selected, select, unit_values
from causalrep.study.verdicts.reported import ReportedNumber

# Okabe and Ito's palette, which people with any color vision can tell apart; markers repeat the distinction.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Curves:
    """A metric against a setting field: one curve per method, the mean with a band of two standard errors.

    Attributes:
        x: The setting field on the horizontal axis.
        metric: The metric on the vertical axis.
        title: The title.
        xlabel: Label of the horizontal axis; default the field's name.
        ylabel: Label of the vertical axis; default the metric's name.
        xscale: matplotlib's scale of the horizontal axis; ``"symlog"`` shows zero as well as powers of ten.
        yscale: The same for the vertical axis.
        hline: Height of a horizontal reference line.
        vlines: Vertical lines as ``{label: x}``, or a function from records to such a mapping.
        methods: The methods to draw, in this order; default all.
        where: Restriction on setting fields.
        unit: Columns that index independent units.
        ylim: Limits of the vertical axis.
        name: File name without extension; default ``<metric>-by-<x>``.
    """

    x: str
    metric: str
    title: str = ""
    xlabel: str = ""
    ylabel: str = ""
    xscale: str = "linear"
    yscale: str = "linear"
    hline: float | None = None
    vlines: Mapping[str, float] | Callable[[pd.DataFrame], Mapping[str, float]] = dataclasses.field(
        default_factory=dict
    )
    methods: tuple[str, ...] | None = None
    where: Where = dataclasses.field(default_factory=dict)
    unit: tuple[str, ...] = ("replication",)
    ylim: tuple[float, float] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", f"{self.metric}-by-{self.x}")

    def draw(self, frame: pd.DataFrame, figure: Any, reported: Sequence[ReportedNumber] = ()) -> None:
        """Draw the curves, and reported numbers as open markers, on an empty matplotlib figure.

        Raises:
            InputError: If a method, the metric or a column is not among the records.
        """
        axes = figure.subplots()
        if self.x not in frame.columns:
            raise InputError(f"figure {self.name!r}", found=f"x = {self.x!r}", expected=f"one of {list(frame.columns)}")
        data = select(frame, self.where, metric=self.metric)
        if data.empty:
            raise nothing_selected(f"figure {self.name!r}", frame, self.metric, self.where)
        methods = self.methods or tuple(dict.fromkeys(data["method"]))
        for index, method in enumerate(methods):
            rows = select(data, method=method)
            if rows.empty:
                raise nothing_selected(f"figure {self.name!r}", frame, self.metric, self.where, method)
            levels = sorted(set(rows[self.x]))
            means = [estimate(unit_values(select(rows, {self.x: level}), self.unit)) for level in levels]
            mean, se = np.array([m.value for m in means]), np.array([m.se if m.n > 1 else 0.0 for m in means])
            color, style = PALETTE[index % len(PALETTE)], STYLES[index // len(PALETTE) % len(STYLES)]
            marker = MARKERS[index % len(MARKERS)]
            axes.plot(levels, mean, style, color=color, marker=marker, markersize=4, linewidth=1.6, label=method)
            axes.fill_between(levels, mean - 2 * se, mean + 2 * se, color=color, alpha=0.18, linewidth=0)
            self._draw_reported(axes, rows, reported, color, marker)
        if self.hline is not None:
            axes.axhline(self.hline, color="0.35", linewidth=1, linestyle="--", zorder=0)
        vlines = self.vlines(frame) if callable(self.vlines) else self.vlines
        for step, (label, x) in enumerate(vlines.items(), start=1):
            axes.axvline(x, color="0.35", linewidth=1, linestyle=":", zorder=0)
            axes.annotate(
                label,
                (x, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(3, -12 * step),  # labels one below the other, since lines may be close
                textcoords="offset points",
            )
        axes.set_xscale(self.xscale)
        axes.set_yscale(self.yscale)
        axes.set_xlabel(self.xlabel or self.x)
        axes.set_ylabel(self.ylabel or f"{self.metric} (mean ± 2 SE)")
        axes.set_title(self.title)
        if self.ylim is not None:
            axes.set_ylim(*self.ylim)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))

    def _draw_reported(self, axes: Any, rows: pd.DataFrame, reported: Sequence[ReportedNumber], color, marker) -> None:
        for level in sorted(set(rows[self.x])):
            cell = select(rows, {self.x: level})
            for number in reported:
                if number.speaks_of(cell, ("method", self.x)):
                    label = f"{cell['method'].iloc[0]} [{number.provenance}]"
                    if label in axes.get_legend_handles_labels()[1]:
                        label = "_" + label  # matplotlib leaves it out of the legend
                    axes.errorbar(
                        level,
                        number.value,
                        yerr=2 * number.se if number.se else None,
                        marker=marker,
                        markersize=9,
                        markerfacecolor="none",
                        markeredgecolor=color,
                        color=color,
                        linestyle="none",
                        label=label,
                    )


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure drawn by any function.

    Attributes:
        name: File name without extension.
        function: A function of the records and an empty matplotlib figure, which it fills.
        size: Width and height in inches.
    """

    name: str
    function: Callable[[pd.DataFrame, Any], None]
    size: tuple[float, float] = (8.0, 4.8)

    def draw(self, frame: pd.DataFrame, figure: Any, reported: Sequence[ReportedNumber] = ()) -> None:
        """Call the function; it is not given the reported numbers."""
        self.function(frame, figure)


AnyFigure = Curves | Figure


def save_figure(spec: AnyFigure, frame: pd.DataFrame, path: AnyPath, reported: Sequence[ReportedNumber] = ()) -> None:
    """Draw a figure and write it as a PNG file, without a display and without pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=getattr(spec, "size", (8.0, 4.8)), dpi=130, layout="constrained")
    FigureCanvasAgg(canvas)
    spec.draw(frame, canvas, reported)
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png")
    write_bytes(path, buffer.getvalue())
