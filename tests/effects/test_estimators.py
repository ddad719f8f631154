"""The façades: numbers of DoubleML and statsmodels, intervals, habits, and every kind of bad input."""

import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from statsmodels.treatment.treatment_effects import TreatmentEffect

from causalrep.effects import (
    AIPW,
    IPW,
    CausalForest,
    DRLearner,
    KernelRidge,
    LeastSquares,
    Logistic,
    Matching,
    RLearner,
    SLearner,
    TLearner,
    XLearner,
)
from causalrep.errors import CausalrepWarning, InputError, NotFittedError, OverlapWarning

META = (SLearner, TLearner, XLearner, RLearner, DRLearner)
LINEAR = {"outcome": LeastSquares(), "propensity": Logistic(penalty=0.0)}


@pytest.fixture(scope="module")
def aipw(s2):
    return AIPW(**LINEAR).fit(s2.y, s2.t, X=s2.x, folds=s2.folds)


def test_aipw_is_doubleml_s(aipw):
    # DoubleML 0.11.4, interactive regression model, same folds, least squares and unpenalized logit.
    result = [aipw.ate(), aipw.ate_.se, aipw.att(), aipw.att_.se]
    np.testing.assert_allclose(result, [0.9356658142, 0.0498321916, 1.0851395524, 0.0528960823], rtol=1e-8)
    low, high = aipw.ate_interval(alpha=0.1)
    assert (high - low) / 2 == pytest.approx(1.6448536 * 0.0498321916, rel=1e-7)
    assert aipw.scores_.mean() == pytest.approx(aipw.ate(), abs=1e-12)
    assert abs(aipw.att_.influence.mean()) < 1e-12


def test_ipw_is_statsmodels(s2):
    model = IPW().fit(s2.y, s2.t, X=s2.x)
    z = sm.add_constant(s2.x)
    peer = TreatmentEffect(sm.OLS(s2.y, z), s2.t, results_select=sm.Logit(s2.t, z).fit(disp=0, tol=1e-12))
    for group, value, average in (("all", model.ate(), model.ate_), (1, model.att(), model.att_)):
        expected = peer.ipw(effect_group=group).summary_frame().loc["ATE"]
        assert value == pytest.approx(expected["coef"], rel=1e-5)
        # statsmodels differentiates numerically.
        assert float(average.se) == pytest.approx(expected["std err"], rel=1e-3)


def brute_force_matching(y, t, z, k):
    """Abadie and Imbens (2006) written out with loops: estimates and variances, without bias correction."""
    n = len(y)
    precision = np.linalg.inv(np.cov(z.T))
    distance = np.array([[(a - b) @ precision @ (a - b) for b in z] for a in z])
    effect, uses, variance = np.empty(n), np.zeros(n), np.empty(n)
    for i in range(n):
        others = [j for j in range(n) if t[j] != t[i]]
        chosen = sorted(others, key=lambda j: distance[i, j])[:k]
        effect[i] = (2 * t[i] - 1) * (y[i] - y[chosen].mean())
        uses[chosen] += 1
        own = sorted((j for j in range(n) if t[j] == t[i] and j != i), key=lambda j: distance[i, j])[:k]
        variance[i] = k / (k + 1) * (y[i] - y[own].mean()) ** 2
    ate, att = effect.mean(), effect[t == 1].mean()
    share = (uses / k) ** 2 + (2 * k - 1) / k * uses / k
    v_ate = np.mean((effect - ate) ** 2) / n + np.mean(share * variance) / n
    treated = t == 1
    v_att = np.sum((effect[treated] - att) ** 2)
    v_att += np.sum((uses * (uses - 1) / k**2 * variance)[~treated])
    return ate, np.sqrt(v_ate), att, np.sqrt(v_att) / treated.sum(), uses / k


@pytest.mark.parametrize("k", [1, 3])
def test_matching_by_brute_force(s2, k):
    y, t, z = s2.y[:120], s2.t[:120], s2.x[:120, :2]
    model = Matching(k, correct_bias=False).fit(y, t, X=z)
    ate, ate_se, att, att_se, uses = brute_force_matching(y, t, z, k)
    result = [model.ate(), model.ate_.se, model.att(), model.att_.se]
    np.testing.assert_allclose(result, [ate, ate_se, att, att_se], rtol=1e-8)
    np.testing.assert_allclose(model.uses_, uses)


def test_bias_correction_makes_matching_exact_for_lines(s2):
    y = s2.x[:600] @ np.arange(1.0, 6) + 2 * s2.t[:600]
    plain = Matching(correct_bias=False).fit(y, s2.t[:600], X=s2.x[:600])
    corrected = Matching().fit(y, s2.t[:600], X=s2.x[:600])
    assert corrected.ate() == pytest.approx(2.0, abs=1e-9)
    assert abs(plain.ate() - 2.0) > 0.1


@pytest.mark.parametrize("make", META)
def test_the_learners_find_who_gains(make, s2):
    model = make().fit(s2.y[:600], s2.t[:600], X=s2.x[:600])
    new = s2.x[600:1000]
    result = model.effect(new)
    assert result.shape == (400,)
    error = np.sqrt(np.mean((result - s2.tau[600:1000]) ** 2))
    assert error < 0.3 if make is not SLearner else error > 0.4
    np.testing.assert_array_equal(model.effect(), model.effect(s2.x[:600]))
    low, high = model.ate_interval()
    assert low < model.ate() < high
    assert low < 1 < high


def test_individual_intervals(s2):
    model = TLearner(**LINEAR).fit(s2.y[:600], s2.t[:600], X=s2.x[:600])
    new = s2.x[600:800]
    low, high = model.effect_interval(new, draws=30)
    assert 0.85 < np.mean((low <= s2.tau[600:800]) & (s2.tau[600:800] <= high)) <= 1
    wide_low, wide_high = model.effect_interval(new, kind="conformal")
    assert np.mean(wide_high - wide_low) > 3 * np.mean(high - low)
    np.testing.assert_allclose(model.effect_interval(new, draws=30)[0], low)


def test_controls_enter_the_nuisances_alone(s2):
    # x1 drives treatment and outcome: left out, the effect is biased; in W, it is not.
    x, w = s2.x[:, :1], s2.x[:, 1:]
    with_controls = DRLearner(**LINEAR, effect_model=LeastSquares()).fit(s2.y, s2.t, X=x, W=w)
    assert with_controls.effect(np.array([[0.0], [1.0]])) == pytest.approx([1.0, 1.5], abs=0.25)
    assert AIPW(**LINEAR).fit(s2.y, s2.t, W=s2.x).ate() == pytest.approx(with_controls.ate(), abs=1e-9)
    with pytest.raises(InputError, match=r"^kind: .*after a fit with W"):
        with_controls.effect_interval(kind="conformal")
    with pytest.raises(InputError, match=r"^W: .*them in X, as TLearner has no W"):
        TLearner().fit(s2.y, s2.t, X=x, W=w)


def test_scikit_learn_models_serve_as_nuisances(s2):
    peers = {"outcome": LinearRegression(), "propensity": LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)}
    model = DRLearner(**peers, effect_model=LinearRegression()).fit(s2.y, s2.t, X=s2.x, folds=s2.folds)
    assert model.ate() == pytest.approx(0.9356658142, abs=1e-5)
    ours = DRLearner(**LINEAR, effect_model=LeastSquares()).fit(s2.y, s2.t, X=s2.x, folds=s2.folds)
    np.testing.assert_allclose(model.effect(s2.x[:5]), ours.effect(s2.x[:5]), atol=1e-4)
    low, high = model.effect_interval(s2.x[:5], draws=3)
    assert (low < high).all()
    forest = RandomForestClassifier(10, min_samples_leaf=20, random_state=0)
    result = AIPW(outcome=LinearRegression(), propensity=forest, cv=2).fit(s2.y, s2.t, X=s2.x).ate()
    assert result == pytest.approx(1.0, abs=0.3)


def test_the_causal_forest(s2):
    pytest.importorskip("econml")
    model = CausalForest(trees=40, **LINEAR).fit(s2.y[:1000], s2.t[:1000], X=s2.x[:1000])
    assert np.sqrt(np.mean((model.effect(s2.x[1000:]) - s2.tau[1000:]) ** 2)) < 0.4
    low, high = model.effect_interval(s2.x[1000:1200])
    assert np.mean((low <= s2.tau[1000:1200]) & (s2.tau[1000:1200] <= high)) > 0.7
    assert "Causal forest" in str(model.summary())


def test_names_and_summary(s2):
    frame = pd.DataFrame(s2.x, columns=list("abcde")).assign(outcome=s2.y, treated=s2.t.astype(bool))
    model = RLearner().fit(frame["outcome"], frame["treated"], X=frame[list("abcde")])
    text = str(model.summary())
    for part in ("R-learner", "outcome", "treated", "2000 (997 treated, 1003 untreated)", "ATE", "ATT", "unconfound"):
        assert part in text
    table = model.summary().as_frame()
    assert table.loc["ATT", "estimate"] == model.att()
    assert (table["[0.025"] < table["0.975]"]).all()
    assert list(model.balance().frame.index) == list("abcde")
    assert "effective" in model.overlap().__class__.__doc__
    np.testing.assert_array_equal(model.effect(frame[list("bacde")]), model.effect(frame[list("abcde")]))
    with pytest.raises(InputError, match=r"^X: found no columns \['c', 'd', 'e'\]; expected the columns of fit"):
        model.effect(frame[["a", "b"]])
    with pytest.raises(InputError, match=r"^X: found columns \['outcome'\] that fit did not see"):
        model.effect(frame[[*"abcde", "outcome"]])


def test_habits(s2):
    model = XLearner(outcome=KernelRidge(penalty=0.1), cv=3)
    assert model.get_params()["cv"] == 3
    assert repr(model) == "XLearner(cv=3, outcome=KernelRidge(bandwidth=1.0, penalty=0.1))"
    assert type(model)(**model.get_params(deep=False)).set_params(cv=4).cv == 4
    with pytest.raises(NotFittedError, match="XLearner is not fitted"):
        model.ate()
    with pytest.raises(NotFittedError):
        model.effect(s2.x)
    fitted = model.fit(s2.y[:600], s2.t[:600], X=s2.x[:600])
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.effect(s2.x[:5]), fitted.effect(s2.x[:5]))


def bad(s2, **changes):
    given = {"Y": s2.y[:600], "T": s2.t[:600], "X": s2.x[:600]} | changes
    return lambda model: model.fit(given["Y"], given["T"], X=given["X"], W=given.get("W"))


@pytest.mark.parametrize("make", [AIPW, IPW, Matching, DRLearner])
def test_bad_input_is_named(make, s2):
    y, t, x = s2.y[:600], s2.t[:600], s2.x[:600]
    missing = x.copy()
    missing[7, 2] = np.nan
    cases = [
        (bad(s2, T=np.ones(600)), r"^T: found 600 rows, all treated"),
        (bad(s2, T=np.zeros(600)), r"^T: found 600 rows, all untreated"),
        (bad(s2, T=np.arange(600) % 3), r"^T: found 3 values \(0, 1, 2\); expected a binary treatment"),
        (bad(s2, T=2 * t - 1), r"^T: found 2 values \(-1, 1\)"),
        (bad(s2, X=missing), r"^X: found 1 missing or infinite value, the first in column '2', row 7"),
        (bad(s2, Y=np.where(np.arange(600) == 3, np.inf, y)), r"^Y: found 1 missing or infinite"),
        (bad(s2, X=x[:150]), r"^X: found 150 rows; expected 600"),
        (bad(s2, X=np.ones((600, 2))), r"^X: found only constant columns"),
        (bad(s2, X=None), r"^X: found None"),
        (bad(s2, Y=y[:4], T=np.array([0, 1, 1, 1]), X=x[:4]), r"^T: found 1 untreated rows; expected at least"),
        (
            bad(s2, Y=pd.Series(y), T=pd.Series(t, index=np.arange(600)[::-1])),
            r"^T: found an index that differs from Y's",
        ),
        (bad(s2, X=pd.DataFrame(x).assign(kind="a")), r"^X: found text in column 'kind'"),
    ]
    for fit, message in cases:
        with pytest.raises(InputError, match=message):
            fit(make())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cv": 1}, r"^cv: found 1"),
        ({"cv": 2.5}, r"^cv: found 2.5"),
        ({"clip": 0.5}, r"^clip: "),
        ({"outcome": "ridge"}, r"^outcome: found 'ridge'; expected a regression such as Ridge\(\)"),
        ({"propensity": Logistic}, r"^propensity: "),
    ],
)
def test_bad_hyperparameters_are_named(parameters, message, s2):
    with pytest.raises(InputError, match=message):
        AIPW(**parameters).fit(s2.y, s2.t, X=s2.x)


def test_constant_covariates_are_ignored_with_a_warning(s2):
    x = np.column_stack([s2.x[:600], np.full(600, 4.0)])
    with pytest.warns(CausalrepWarning, match=r"Covariates \['X5'\] are constant"):
        result = AIPW().fit(s2.y[:600], s2.t[:600], X=x).ate()
    assert result == pytest.approx(AIPW().fit(s2.y[:600], s2.t[:600], X=s2.x[:600]).ate(), abs=1e-9)


@pytest.mark.parametrize("make", [AIPW, IPW, Matching])
def test_overlap_is_watched(make, s2):
    rng = np.random.default_rng(0)
    steep = (rng.random(2000) < 1 / (1 + np.exp(-3 * s2.x[:, 0]))).astype(float)
    with pytest.warns(OverlapWarning, match=r"^\d+ of 2,000 rows \(.*%\) have .* outside \[0.01, 0.99\] and"):
        model = make().fit(s2.y, steep, X=s2.x)
    # Weights that large are worth few rows.
    assert model.overlap().arms["ess_ate"].min() < 400
    assert 0.02 < model.overlap().trimming < 0.2
    decided = (s2.x[:, 0] > 0).astype(float)
    with pytest.raises(InputError, match=r"^T: found no overlap: the covariates separate treated from untreated"):
        make().fit(s2.y, decided, X=s2.x)
