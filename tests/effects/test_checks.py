"""Overlap, balance, calibration, uplift, refutation: closed forms, known answers and negative controls."""

import numpy as np
import pytest
from scipy import stats

from causalrep.effects import (
    AIPW,
    DRLearner,
    LeastSquares,
    Logistic,
    balance_table,
    calibration,
    overlap_report,
    qini_curve,
    refute,
    trim,
    uplift_curve,
)
from causalrep.effects.checks import crump_threshold, effective_sample_size
from causalrep.errors import InputError


def test_effective_sample_size_by_hand():
    assert effective_sample_size(np.array([2.0, 2.0, 2.0])) == pytest.approx(3)
    assert effective_sample_size(np.array([3.0, 1.0])) == pytest.approx(16 / 10)


def test_crump_s_threshold_minimizes_the_variance():
    e = stats.beta(0.6, 0.9).rvs(4000, random_state=0)
    threshold = crump_threshold(e)
    grid = np.linspace(0.001, 0.3, 400)
    variances = [np.mean(1 / (e * (1 - e))[kept]) / np.mean(kept) for kept in (trim(e, a) for a in grid)]
    assert threshold == pytest.approx(grid[int(np.argmin(variances))], abs=0.01)
    report = overlap_report(e, (np.random.default_rng(0).random(4000) < e).astype(float))
    np.testing.assert_array_equal(report.kept, trim(e, threshold))
    assert "Trimming to" in str(report)
    with pytest.raises(InputError, match=r"^propensity: "):
        overlap_report(np.array([0.5, 1.2]), np.array([0, 1]))


def test_balance_by_hand_and_after_weighting(s2):
    table = balance_table(s2.x, s2.t, names=list("abcde")).frame
    a, b = s2.x[s2.t == 1], s2.x[s2.t == 0]
    expected = (a.mean(0) - b.mean(0)) / np.sqrt((a.var(0, ddof=1) + b.var(0, ddof=1)) / 2)
    np.testing.assert_allclose(table["difference"], expected, rtol=1e-10)
    np.testing.assert_allclose(table["variance_ratio"], a.var(0, ddof=1) / b.var(0, ddof=1), rtol=1e-10)
    weighted = AIPW().fit(s2.y, s2.t, X=s2.x).balance()
    assert abs(expected).max() > 0.5
    assert weighted.worst() < 0.05
    with pytest.raises(InputError, match=r"^weights: "):
        balance_table(s2.x, s2.t, s2.t)


def test_calibration_tells_right_exaggerated_and_meaningless_estimates_apart(s2):
    model = DRLearner(outcome=LeastSquares(), propensity=Logistic(penalty=0.0)).fit(s2.y, s2.t, X=s2.x)
    right, twice = calibration(s2.tau, model.scores_), calibration(1 + 2 * (s2.tau - 1), model.scores_)
    assert abs(right.slope - 1) < 2.5 * right.slope_se
    assert twice.slope == pytest.approx(right.slope / 2)
    assert right.intercept == pytest.approx(model.ate())
    assert right.slope_p_value < 1e-6
    assert right.error < 0.15 < twice.error
    noise = calibration(np.random.default_rng(0).normal(size=2000), model.scores_)
    assert abs(noise.slope) < 3 * noise.slope_se
    assert noise.slope_p_value > 0.01
    assert right.groups["rows"].tolist() == [400] * 5
    with pytest.raises(InputError, match=r"^effect: found the same effect"):
        calibration(np.ones(2000), model.scores_)


def test_calibration_slope_is_that_of_robust_least_squares(s2):
    import statsmodels.api as sm

    scores = s2.y - s2.x[:, 1]
    peer = sm.OLS(scores, sm.add_constant(s2.tau - s2.tau.mean())).fit(cov_type="HC3")
    result = calibration(s2.tau, scores)
    np.testing.assert_allclose([result.slope, result.slope_se], [peer.params[1], peer.bse[1]], rtol=1e-8)


def test_uplift_area_and_its_standard_error():
    areas, errors = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=300)
        curve = uplift_curve(x, x + rng.normal(size=300))
        areas.append(curve.area)
        errors.append(curve.area_se)
    # E[x (Phi(x) - 1/2)] = 1 / (2 sqrt(pi)).
    assert np.mean(areas) == pytest.approx(1 / (2 * np.sqrt(np.pi)), abs=4 * np.std(areas) / np.sqrt(300) + 1e-3)
    assert np.mean(errors) == pytest.approx(np.std(areas), rel=0.12)


def test_uplift_curve_by_hand():
    curve = uplift_curve(np.array([3.0, 1.0, 2.0, 1.0]), np.array([4.0, 0.0, 2.0, -2.0]))
    np.testing.assert_allclose(curve.share, [0, 0.25, 0.5, 1])
    np.testing.assert_allclose(curve.gain, [0, 1, 1.5, 1.0])
    # Between the curve and the diagonal, trapezoid by trapezoid.
    assert curve.area == pytest.approx(np.trapezoid(curve.gain, curve.share) - 0.5)
    # An order that knows nothing gains nothing.
    assert uplift_curve(np.ones(4), np.array([4.0, 0.0, 2.0, -2.0])).area == 0.0


def test_qini_by_hand():
    effect = np.array([4.0, 3.0, 2.0, 1.0])
    curve = qini_curve(effect, np.array([1.0, 0.0, 1.0, 1.0]), np.array([1.0, 0.0, 1.0, 0.0]))
    # Y_1 - Y_0 n_1 / n_0 of the top 1, 2, 3, 4 units, per unit.
    np.testing.assert_allclose(curve.gain, np.array([0, 1, 1, 2, 2 - 1 * 2 / 2]) / 4)
    with pytest.raises(InputError, match=r"^T: "):
        qini_curve(effect, effect, np.ones(4))


def test_refutations_hold_for_a_right_estimator_and_fail_a_broken_one(s2):
    model = AIPW().fit(s2.y[:600], s2.t[:600], X=s2.x[:600])
    for check, expected in (
        ("placebo_treatment", 0.0),
        ("dummy_outcome", 0.0),
        ("random_common_cause", model.ate()),
        ("data_subset", model.ate()),
    ):
        result = refute(model, check, simulations=12)
        assert result.expected == expected
        assert abs(result.mean - expected) < 0.1, check
        assert result.p_value > 0.05, check
        assert check in str(result)

    class Broken(AIPW):
        """Reports an effect where there is none."""

        def ate(self):
            return super().ate() + 5.0

    broken = Broken().fit(s2.y[:600], s2.t[:600], X=s2.x[:600])
    assert refute(broken, "placebo_treatment", simulations=12).p_value < 1e-3
    assert refute(broken, "dummy_outcome", simulations=12).p_value < 1e-3
    np.testing.assert_array_equal(
        refute(model, "placebo_treatment", simulations=2, seed=3).refuted,
        refute(model, "placebo_treatment", simulations=2, seed=3).refuted,
    )
    with pytest.raises(InputError, match=r"^check: "):
        refute(model, "placebo")
