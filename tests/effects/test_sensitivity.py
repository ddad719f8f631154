"""Sensitivity: printed numbers of DoubleML and sensemakr, the E-values of the paper, and a jackknife."""

import numpy as np
import pytest

from causalrep.effects import (
    AIPW,
    LeastSquares,
    Logistic,
    e_value,
    e_value_of_difference,
    ols_sensitivity,
    omitted_variable_bounds,
)
from causalrep.effects.checks.sensitivity import _bias_scale
from causalrep.errors import InputError


@pytest.fixture(scope="module")
def model(s2):
    return AIPW(outcome=LeastSquares(), propensity=Logistic(penalty=0.0)).fit(s2.y, s2.t, X=s2.x, folds=s2.folds)


@pytest.mark.parametrize(
    ("effect", "bounds", "value"),
    [("ate", (0.8706063878, 1.0007252406), 0.35250), ("att", (1.0133109648, 1.1569681401), 0.36632)],
)
def test_bounds_are_doubleml_s(model, effect, bounds, value):
    result = omitted_variable_bounds(model, effect=effect)
    np.testing.assert_allclose(result.bounds, bounds, atol=1e-8)
    assert result.robustness_value == pytest.approx(value, abs=5e-6)
    assert (
        result.confidence_bounds[0]
        < result.bounds[0]
        < result.estimate
        < result.bounds[1]
        < result.confidence_bounds[1]
    )
    at_value = omitted_variable_bounds(model, effect=effect, cf_y=result.robustness_value, cf_d=result.robustness_value)
    assert at_value.bounds[0] == pytest.approx(0.0, abs=1e-8)
    weaker = result.robustness_value_confidence
    assert weaker < result.robustness_value
    limit = omitted_variable_bounds(model, effect=effect, cf_y=weaker, cf_d=weaker).confidence_bounds[0]
    assert limit == pytest.approx(0.0, abs=1e-8)


def test_the_standard_error_of_a_bound_is_the_jackknife_s(model):
    """The sign with which the two influence functions combine: each bound by leaving single rows out."""
    result = omitted_variable_bounds(model, cf_y=0.5, cf_d=0.5)
    strength = np.sqrt(0.5)
    t, y, e = model.design_.t, model.design_.y, model.nuisances_.propensity
    residual = (y - np.where(t == 1, model.nuisances_.mu1, model.nuisances_.mu0)) ** 2
    square = 2 * (1 / e + 1 / (1 - e)) - (t / e - (1 - t) / (1 - e)) ** 2
    n = len(y)

    def without(values):
        return (values.sum() - values) / (n - 1)

    width = np.sqrt(without(residual) * without(square))
    for sign, limit, bound in zip((-1, 1), result.confidence_bounds, result.bounds, strict=True):
        left_out = without(model.scores_) + sign * strength * width
        jackknife = np.sqrt((n - 1) / n * np.sum((left_out - left_out.mean()) ** 2))
        assert abs(limit - bound) / 1.6448536 == pytest.approx(jackknife, rel=2e-3)
    _, influence = _bias_scale(model, "ate")
    opposite = np.sqrt(np.mean((model.ate_.influence + strength * influence) ** 2) / n)
    assert abs(opposite * 1.6448536 / (result.bounds[0] - result.confidence_bounds[0]) - 1) > 1e-2


def test_negative_effects_mirror_positive_ones(s2, model):
    mirrored = AIPW(**model.get_params(deep=False)).fit(-s2.y, s2.t, X=s2.x, folds=s2.folds)
    ours, theirs = omitted_variable_bounds(mirrored), omitted_variable_bounds(model)
    assert ours.robustness_value == pytest.approx(theirs.robustness_value, abs=1e-8)
    assert ours.robustness_value_confidence == pytest.approx(theirs.robustness_value_confidence, abs=1e-8)
    assert ours.bounds == pytest.approx(tuple(-b for b in reversed(theirs.bounds)))
    assert omitted_variable_bounds(model, null=5.0).robustness_value > theirs.robustness_value
    with pytest.raises(InputError, match=r"^cf_d: "):
        omitted_variable_bounds(model, cf_d=1.0)


def test_darfur():
    """Cinelli and Hazlett's example, numbers of sensemakr: direct harm on attitudes to peace, benchmark 'female'."""
    result = ols_sensitivity(0.09731582, 0.02325654, 783)
    assert result.partial_r2 == pytest.approx(0.0218731, abs=5e-7)
    assert result.robustness_value == pytest.approx(0.1387764, abs=5e-7)
    assert result.robustness_value_significance == pytest.approx(0.0762580, abs=5e-7)
    for r2_d, r2_y, adjusted, se in (
        (0.0091643, 0.1246409, 0.0752203, 0.0218733),
        (0.0183286, 0.2493241, 0.0529152, 0.0203501),
        (0.0274929, 0.3740505, 0.0303960, 0.0186701),
    ):
        np.testing.assert_allclose(result.adjusted(r2_d, r2_y), [adjusted, se], atol=2e-7)
    # t statistics of 'female' that imply its partial R2: .0091643 = r/(1-r), and .1246409 by the printed formula.
    r_d = 0.0091643 / 1.0091643
    t_d = np.sqrt(784 * r_d / (1 - r_d))
    r_z = r_d**2 / (1 - r_d) ** 2
    f_y = 0.1246409 * (1 - r_z) / (1 + np.sqrt(r_z)) ** 2
    t_y = np.sqrt(783 * f_y)
    np.testing.assert_allclose(result.benchmark(t_d, t_y), [0.0091643, 0.1246409], atol=1e-7)
    np.testing.assert_allclose(result.benchmark(t_d, t_y, times=3), [0.0274929, 0.3740505], atol=1e-6)
    with pytest.raises(InputError, match=r"^times: "):
        result.benchmark(t_d, t_y, times=200)


def test_a_confounder_at_the_robustness_value_leaves_nothing(s2):
    result = ols_sensitivity(-2.0, 0.3, 400)
    value = result.robustness_value
    assert result.adjusted(value, value)[0] == pytest.approx(0.0, abs=1e-12)
    assert ols_sensitivity(0.1, 0.3, 400).robustness_value_significance == 0.0


def test_omitting_a_covariate_is_the_bias_that_was_computed(s2):
    """The formula is an identity: leave a covariate out, and its own partial R2 give the long estimate back."""

    def ols(y, columns):
        a = np.column_stack([np.ones(len(y)), *columns])
        b = np.linalg.lstsq(a, y, rcond=None)[0]
        dof = len(y) - a.shape[1]
        s2_hat = np.sum((y - a @ b) ** 2) / dof
        return b, np.sqrt(np.diag(s2_hat * np.linalg.inv(a.T @ a))), dof

    u, rest = s2.x[:, 0], [s2.x[:, j] for j in range(1, 5)]
    short, short_se, dof = ols(s2.y, [s2.t, *rest])
    long, long_se, long_dof = ols(s2.y, [s2.t, *rest, u])
    r2_y = (long[-1] / long_se[-1]) ** 2 / ((long[-1] / long_se[-1]) ** 2 + long_dof)
    d, d_se, d_dof = ols(s2.t, [*rest, u])
    r2_d = (d[-1] / d_se[-1]) ** 2 / ((d[-1] / d_se[-1]) ** 2 + d_dof)
    estimate, se = ols_sensitivity(short[1], short_se[1], dof).adjusted(r2_d, r2_y)
    assert estimate == pytest.approx(long[1], abs=1e-10)
    assert se == pytest.approx(long_se[1], abs=1e-10)


def test_e_values_of_the_paper():
    for ratio, expected in ((3.9, 7.263), (1.5, 2.366), (0.8, 1.809), (1.8, 3.000)):
        assert e_value(ratio).point == pytest.approx(expected, abs=5e-4)
    assert e_value(3.9, (1.8, 8.7)).limit == pytest.approx(3.0, abs=1e-9)
    assert e_value(0.8, (0.6, 0.9)).limit == pytest.approx(e_value(0.9).point)
    assert e_value(1.2, (0.9, 1.6)).limit == 1.0
    assert e_value_of_difference(0.5, 0.1, 1.0).point == pytest.approx(e_value(np.exp(0.455)).point)
    with pytest.raises(InputError, match=r"^risk_ratio: "):
        e_value(-1.0)
