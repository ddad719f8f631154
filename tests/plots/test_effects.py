"""Figures of effects show the numbers they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from causalrep.effects import balance_table, calibration, ols_sensitivity, overlap_report, uplift_curve
from causalrep.errors import InputError
from causalrep.plots import plot_calibration, plot_confounding, plot_love, plot_overlap, plot_uplift

RNG = np.random.default_rng(0)
E = RNG.beta(1.0, 2.0, 300)
T = (RNG.random(300) < E).astype(float)
X = RNG.normal(size=(300, 3)) + T[:, None] * np.array([0.0, 0.5, 1.0])


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_overlap_shows_shares_of_each_arm_on_its_side():
    ax = plot_overlap(overlap_report(E, T), bins=10)
    heights = np.array([bar.get_height() for bar in ax.patches])
    assert heights[:10].sum() == pytest.approx(1.0)
    assert heights[10:].sum() == pytest.approx(-1.0)


def test_love_plot_orders_by_imbalance():
    table = balance_table(X, T, 1 + T, names=["a", "b", "c"])
    ax = plot_love(table)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    before, after = ax.lines[0].get_xdata(), ax.lines[1].get_xdata()
    np.testing.assert_allclose(before, table.frame["difference"].abs())
    np.testing.assert_allclose(after, table.frame["difference_weighted"].abs())
    assert len(plot_love(balance_table(X, T)).lines) == 2


def test_calibration_uplift_and_contours():
    scores = X[:, 2] + RNG.normal(size=300)
    ax = plot_calibration(calibration(X[:, 2], scores))
    assert ax.get_title().startswith("slope")
    curve = uplift_curve(X[:, 2], scores)
    ax = plot_uplift({"by effect": curve})
    np.testing.assert_allclose(ax.lines[0].get_ydata(), curve.gain)
    assert ax.lines[-1].get_ydata()[1] == curve.gain[-1]
    with pytest.raises(InputError, match=r"^curves: "):
        plot_uplift({})
    ax = plot_confounding(ols_sensitivity(1.0, 0.2, 200), benchmarks={"age": (0.1, 0.05)})
    assert any(text.get_text() == "age" for text in ax.texts)
