"""One function a picture: takes results, returns a matplotlib ``Axes``."""

from causalrep.plots.iv import plot_confidence_curves, plot_intervals

__all__ = ["plot_confidence_curves", "plot_intervals"]
