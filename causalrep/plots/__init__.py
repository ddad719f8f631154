"""One function per figure: it takes results and returns a matplotlib ``Axes``."""

from causalrep.plots.effects import plot_calibration, plot_confounding, plot_love, plot_overlap, plot_uplift
from causalrep.plots.iv import plot_confidence_curves, plot_intervals

__all__ = [
    "plot_calibration",
    "plot_confidence_curves",
    "plot_confounding",
    "plot_intervals",
    "plot_love",
    "plot_overlap",
    "plot_uplift",
]
