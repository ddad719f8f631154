"""The IVL façade: agreement with the functional core, selection, scikit-learn's habits, the door."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from causalrep.errors import InputError, NoIntervalError
from causalrep.iv import OLS, AnchorRegression, IVLRegression, TwoStageLeastSquares


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    z, u = rng.normal(size=(400, 3)), rng.normal(size=400)
    c = rng.normal(size=(400, 1))
    t = z @ rng.normal(size=(3, 2)) + u[:, None] + c + rng.normal(size=(400, 2))
    return t @ [1.0, -1.0] + 2 * u + c[:, 0] + rng.normal(size=400), t, c, z


def test_lies_between_ols_and_two_stage_least_squares(data):
    y, t, c, z = data
    near_iv = IVLRegression(alpha=1e-9).fit(y, t, X=c, Z=z)
    np.testing.assert_allclose(near_iv.coef_, TwoStageLeastSquares().fit(y, t, X=c, Z=z).coef_, rtol=1e-6)
    near_ols = IVLRegression(alpha=1e9).fit(y, t, X=c, Z=z)
    np.testing.assert_allclose(near_ols.coef_, OLS().fit(y, t, X=c).coef_, rtol=1e-6)
    anchor = AnchorRegression(gamma=1 + 1 / 0.3).fit(y, t, X=c, Z=z)
    np.testing.assert_allclose(IVLRegression(alpha=0.3).fit(y, t, X=c, Z=z).coef_, anchor.coef_, rtol=1e-10)


def test_needs_no_identification(data):
    y, t, c, z = data
    assert np.isfinite(IVLRegression().fit(y, t, X=c, Z=z[:, :1]).coef_).all()


@pytest.mark.parametrize("selector", ["cv", "lcv", "cc"])
def test_selectors(data, selector):
    y, t, c, z = data
    first, second = (IVLRegression(selector, seed=4).fit(y, t, X=c, Z=z, T_score=t + 0.1) for _ in range(2))
    assert first.alpha_ == second.alpha_
    assert 1e-4 <= first.alpha_ <= 1.0
    assert f"selected by {selector.upper()}" in str(first.summary())
    narrow = IVLRegression(selector, alpha_range=(0.2, 0.2)).fit(y, t, X=c, Z=z)
    assert narrow.alpha_ == pytest.approx(0.2)


def test_habits(data):
    y, t, c, z = data
    frame = pd.DataFrame(t, columns=["dose", "time"])
    model = IVLRegression(alpha=0.5).fit(y, frame, X=c, Z=z)
    assert model.names_[:2] == ["dose", "time"]
    assert clone(model).get_params() == model.get_params()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).coef_, model.coef_)
    assert np.isnan(model.stderr_).all()
    with pytest.raises(NoIntervalError):
        model.conf_int()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": -1}, "alpha"),
        ({"alpha": float("nan")}, "alpha"),
        ({"alpha": "loocv"}, "alpha"),
        ({"alpha": "cv", "candidates": 0}, "candidates"),
        ({"alpha": "cv", "alpha_range": (0.0, 1.0)}, "alpha_range"),
        ({"alpha": "cv", "alpha_range": (1.0, 0.1)}, "alpha_range"),
    ],
)
def test_wrong_hyperparameters_are_named(data, arguments, word):
    y, t, c, z = data
    with pytest.raises(InputError, match=word):
        IVLRegression(**arguments).fit(y, t, X=c, Z=z)


def test_wrong_scoring_treatment_is_named(data):
    y, t, c, z = data
    with pytest.raises(InputError, match="T_score"):
        IVLRegression("cv").fit(y, t, X=c, Z=z, T_score=t[:10])
    with pytest.raises(InputError, match="T_score"):
        IVLRegression("cv").fit(y, t, X=c, Z=z, T_score=t[:, :1])
