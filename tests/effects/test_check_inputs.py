"""Checks of effects on ordinary nasty input: order of rows, ties, alignment, units, and errors of zero."""

import jax
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from causalrep.effects import (
    AIPW,
    IPW,
    balance_table,
    calibration,
    overlap_report,
    qini_curve,
    refute,
    trim,
    uplift_curve,
)
from causalrep.effects.checks import crump_threshold, effective_sample_size
from causalrep.effects.checks.sensitivity import e_value, ols_sensitivity, omitted_variable_bounds
from causalrep.errors import InputError, NotFittedError
from causalrep.inference import wild_cluster_bootstrap
from causalrep.iv import OLS


@pytest.fixture(scope="module")
def tied():
    """Estimates with many ties, scores and a treatment, the first sorted by the second."""
    rng = np.random.default_rng(0)
    score = np.sort(rng.normal(size=240))
    return rng.integers(0, 6, 240).astype(float), score, rng.integers(0, 2, 240).astype(float)


def numbers(result):
    """All numbers of a result, in one vector."""
    parts = [getattr(result, name) for name in result.__dataclass_fields__]
    return np.concatenate([np.ravel(np.asarray(part, float)) for part in parts])


def checks(effect, score, t):
    """Every check of estimates against scores."""
    return [uplift_curve(effect, score), calibration(effect, score), qini_curve(effect, score, t)]


def test_the_order_of_rows_does_not_matter_even_for_ties(tied):
    order = np.random.default_rng(1).permutation(240)
    for plain, permuted in zip(checks(*tied), checks(*(v[order] for v in tied)), strict=True):
        np.testing.assert_allclose(numbers(permuted), numbers(plain), atol=1e-12)


def test_the_error_of_the_area_is_right_with_ties():
    areas, errors = [], []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        x = rng.integers(0, 3, 200)
        curve = uplift_curve(x, x + rng.normal(size=200))
        areas.append(curve.area)
        errors.append(curve.area_se)
    assert np.mean(errors) == pytest.approx(np.std(areas), rel=0.1)


def test_units_scale_a_check_and_change_nothing_else(tied):
    effect, score, t = tied
    plain, scaled = calibration(effect, score), calibration(1e-12 * effect, score)
    assert scaled.slope == pytest.approx(1e12 * plain.slope)
    assert scaled.slope_p_value == pytest.approx(plain.slope_p_value)
    assert effective_sample_size(1e-200 * (1 + t)) == pytest.approx(effective_sample_size(1 + t))
    x = np.column_stack([score, np.full(240, 0.1), np.where(np.arange(240) % 3 == 0, 0.3, 0.1 + 0.2), t])
    table = balance_table(x, t).frame
    np.testing.assert_array_equal(table["difference"].to_numpy()[1:], [0, 0, np.inf])
    assert table["variance_ratio"].isna().to_numpy()[1:].all()
    scaled = balance_table(1e9 * x, t).frame
    np.testing.assert_allclose(scaled[["difference", "variance_ratio"]], table[["difference", "variance_ratio"]])


def test_rows_are_never_paired_by_position(tied):
    effect, score, t = map(pd.Series, tied)
    other = score.set_axis(score.index[::-1])
    e = t * 0.5 + 0.2
    for call in (
        lambda: uplift_curve(effect, other),
        lambda: calibration(effect, other),
        lambda: qini_curve(effect, other, t),
        lambda: balance_table(pd.DataFrame({"a": effect}), t, weights=other - other.min() + 1),
        lambda: overlap_report(e, t.set_axis(other.index)),
    ):
        with pytest.raises(InputError, match="an index that differs"):
            call()


def test_what_cannot_be_checked_is_refused(tied):
    effect, score, t = tied
    e = 0.2 + 0.5 * t
    refusals = {
        "T: found 3 values": lambda: qini_curve(effect, score, np.arange(240) % 3),
        "T: found 240 rows, all treated": lambda: balance_table(score, np.ones(240)),
        "T: found 1 treated rows": lambda: balance_table(score, np.arange(240) == 3),
        "names: found 2": lambda: balance_table(score, t, names=["a", "b"]),
        "treated: found 240 rows": lambda: overlap_report(e, np.zeros(240)),
        "treated: found 2 values": lambda: overlap_report(e, t + 1),
        "propensity: found values": lambda: trim(e + 1),
        "propensity: found values from": lambda: crump_threshold(e - 1),
        "weights: found zeros only": lambda: effective_sample_size(np.zeros(3)),
        "weights: found negative": lambda: effective_sample_size(-np.ones(3)),
        "groups: found 2.5": lambda: calibration(effect, score, groups=2.5),
        "groups: found 200": lambda: calibration(effect, score, groups=200),
        "effect: found ties": lambda: calibration((np.arange(240) == 5) * 1.0, score, groups=120),
        "effect: found the same": lambda: calibration(np.where(t == 1, 0.3, 0.1 + 0.2), score),
        "dof: found 2.5": lambda: ols_sensitivity(1.0, 1.0, 2.5),
        "interval: found 1 ends": lambda: e_value(2.0, (1.0,)),
        "t_outcome": lambda: ols_sensitivity(1.0, 1.0, 50).benchmark(1.0, np.nan),
        "fitted: found IPW, which has no": lambda: omitted_variable_bounds(IPW().fit(score, t, X=effect)),
        "fitted: found AIPW()": lambda: omitted_variable_bounds(AIPW()),
        "fitted: found LinearRegression": lambda: refute(LinearRegression(), "data_subset"),
        "simulations: found 2.5": lambda: refute(AIPW(), "data_subset", simulations=2.5),
        "seed: found": lambda: refute(AIPW(), "data_subset", seed="a"),
    }
    for message, call in refusals.items():
        with pytest.raises(InputError, match=message.replace("(", r"\(").replace(")", r"\)")):
            call()


def test_numpy_scalars_are_numbers(tied):
    effect, score, _ = tied
    np.testing.assert_array_equal(
        numbers(calibration(effect, score, groups=np.int64(4))), numbers(calibration(effect, score, groups=4))
    )
    assert ols_sensitivity(np.float64(1), np.float32(1), np.int32(50)) == ols_sensitivity(1.0, 1.0, 50)
    fitted = IPW().fit(score, effect > 2, X=np.cos(np.arange(240)))
    refute(fitted, "data_subset", simulations=np.int64(2), seed=np.int64(1))


def test_a_classifier_of_many_classes_has_no_dummy_outcome(tied):
    effect, _, t = tied
    classes = np.random.default_rng(1).integers(0, 12, 240)
    fitted = AIPW(outcome=LogisticRegression()).fit(classes, t, X=np.cos(np.arange(240) + effect))
    with pytest.raises(InputError, match="check: found 'dummy_outcome' with a classifier"):
        refute(fitted, "dummy_outcome", simulations=2)
    assert np.isfinite(refute(fitted, "placebo_treatment", simulations=2).p_value)


def test_a_standard_error_of_zero_is_printed(tied):
    effect, _, t = tied
    fitted = IPW().fit(np.zeros(240), t, X=np.cos(np.arange(240) + effect))
    for value, z, p in ((0.0, np.nan, np.nan), (-2.0, -np.inf, 0.0)):
        fitted.ate_ = fitted.ate_._replace(value=np.float64(value), se=np.float64(0.0))
        summary = fitted.summary()
        np.testing.assert_array_equal(summary.as_frame().loc["ATE", ["std err", "z", "P>|z|"]], [0, z, p])
        assert any("standard error of ATE" in note for note in summary.notes)


def test_the_wild_bootstrap_of_what_does_not_vary_has_no_p_value():
    rng = np.random.default_rng(0)
    x, clusters, one = rng.normal(size=(120, 1)), np.arange(120) % 6, np.ones((120, 1))
    for y, null in ((np.full(120, 0.1), 0.0), (3.7 * x[:, 0] + 0.1, 3.7)):
        test = wild_cluster_bootstrap(jax.random.key(0), y, x, None, one, clusters, 6, null=null, draws=99)
        assert np.isnan([test.statistic, test.p_value]).all()
    with pytest.raises(InputError, match="Y: found a constant"):
        OLS(covariance="cluster").fit(np.full(120, 0.1), x, clusters=clusters)
    for wrong in ({"weights": "normal"}, {"draws": 0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            wild_cluster_bootstrap(jax.random.key(0), x[:, 0], x, None, one, clusters, 6, **wrong)
    with pytest.raises(InputError, match="clusters: found codes from -1"):
        wild_cluster_bootstrap(jax.random.key(0), rng.normal(size=120), x, None, one, clusters - 1, 6)


def test_a_wrong_attribute_of_a_fitted_estimator_is_no_lack_of_a_fit(tied):
    effect, score, t = tied
    fitted = IPW().fit(score, t, X=effect)
    with pytest.raises(AttributeError, match="no attribute 'scores_'") as error:
        _ = fitted.scores_
    assert not isinstance(error.value, NotFittedError)
    with pytest.raises(NotFittedError, match="call fit"):
        _ = IPW().ate_
