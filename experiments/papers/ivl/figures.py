"""The figure of the IVL paper's comparison: the error of every method, one dot per method."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from causalrep.study import estimate, select, unit_values


def method_means(
    frame: pd.DataFrame,
    figure: Any,
    *,
    metric: str = "ncer",
    where: Mapping[str, Any] | None = None,
    unit: Sequence[str] = ("replication",),
    title: str = "",
) -> None:
    """Draw each method's mean with two standard errors, best on top (Figure 5).

    Args:
        frame: Records.
        figure: An empty matplotlib figure.
        metric: Metric to draw.
        where: Restriction on setting fields.
        unit: Columns that index independent units.
        title: Title of the figure.
    """
    rows = select(frame, where, metric=metric)
    means = {method: estimate(unit_values(part, tuple(unit))) for method, part in rows.groupby("method", sort=False)}
    order = sorted(means, key=lambda method: means[method].value, reverse=True)
    axes = figure.subplots()
    for position, method in enumerate(order):
        ours = "IVL" in method
        axes.errorbar(
            means[method].value,
            position,
            xerr=2 * means[method].se if means[method].n > 1 else None,
            marker="s" if ours else "o",
            color="#D55E00" if ours else "#0072B2",
        )
    axes.set_yticks(range(len(order)), order)
    axes.axvline(0.5, color="0.35", linewidth=1, linestyle="--", zorder=0)
    axes.set_xlabel("nCER (mean ± 2 SE); 0.5 is the zero solution")
    axes.set_title(title)
    axes.grid(axis="x", alpha=0.25)
