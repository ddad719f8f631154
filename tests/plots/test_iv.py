"""The figures say what the sets say."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

from causalrep.errors import InputError
from causalrep.iv.weak.confidence_set import ConfidenceSet
from causalrep.plots.iv import plot_confidence_curves, plot_intervals


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def arrows(ax):
    return sorted(line.get_marker() for line in ax.lines if line.get_marker() in "<>" and line.get_marker())


def test_unbounded_sets_end_in_arrows():
    rays = ConfidenceSet(((-math.inf, -1.0), (2.0, math.inf)))
    ax = plot_intervals({"Wald": (0.0, 1.0), "AR": rays, "none": ConfidenceSet.empty()}, estimates={"Wald": 0.5})
    assert arrows(ax) == ["<", ">"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Wald", "AR", "none"]
    assert any("empty" in text.get_text() for text in ax.texts)
    low, high = ax.get_xlim()
    assert low < -1.0
    assert high > 2.0
    assert arrows(plot_intervals({"Wald": (0.0, 1.0)})) == []
    assert arrows(plot_intervals({"AR": ConfidenceSet.whole_line()})) == ["<", ">"]


def test_curves_and_sets_share_colors():
    grid = np.linspace(-1, 1, 11)
    curves = {"AR": lambda b: np.exp(-(b**2)), "CLR": np.exp(-2 * grid**2)}
    ax = plot_confidence_curves(curves, grid, sets={"AR": ConfidenceSet(((-0.5, math.inf),))})
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["AR", "CLR"]
    assert ax.lines[0].get_color() == ax.lines[1].get_color()
    assert arrows(ax) == [">"]


def test_bad_input_is_named():
    with pytest.raises(InputError, match=r"^sets"):
        plot_intervals({})
    with pytest.raises(InputError, match=r"^p_values"):
        plot_confidence_curves({"AR": np.zeros(3)}, np.linspace(0, 1, 4))
    with pytest.raises(InputError, match=r"^grid"):
        plot_confidence_curves({}, [1.0])
