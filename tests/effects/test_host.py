"""Scikit-learn estimators as regressions: classes are numbers with a mean, and what does not fit is refused by name."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from causalrep.effects import AIPW, DRLearner, Logistic, Matching, MLPRegression, Ridge, RLearner, TLearner, refute
from causalrep.errors import InputError

N = 600
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 2))
T = (RNG.uniform(size=N) < 1 / (1 + np.exp(-X[:, 0]))).astype(float)
P = 1 / (1 + np.exp(-(X[:, 1] + T)))
Y = (RNG.uniform(size=N) < P).astype(float)
CLASSES = np.digitize(RNG.uniform(size=N), [0.3, 0.6]) + (T > 0) * (X[:, 1] > 0)  # 0 to 3
NEW = X[:20]


def fitted(y, outcome=None, **parameters):
    return TLearner(outcome=outcome or LogisticRegression(), **parameters).fit(y, T, X=X)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 100.0), (1.0, 2.0)])
def test_the_code_of_two_classes_is_their_unit(low, high):
    one, other = fitted(Y), fitted(low + (high - low) * Y)
    scale = high - low
    np.testing.assert_allclose(other.effect(NEW), scale * one.effect(NEW), rtol=1e-9)
    assert other.ate() == pytest.approx(scale * one.ate(), rel=1e-9)
    np.testing.assert_allclose(other.ate_interval(), scale * np.array(one.ate_interval()), rtol=1e-9)
    assert abs(one.effect(NEW).mean() - 0.2) < 0.15


def test_several_classes_have_a_mean():
    model = fitted(2.0 * CLASSES)
    arms = [LogisticRegression().fit(X[t == T], CLASSES[t == T]) for t in (0, 1)]
    expected = [2 * arm.predict_proba(NEW) @ arm.classes_ for arm in arms]
    np.testing.assert_allclose(model.effect(NEW), expected[1] - expected[0], rtol=1e-9)


def test_pipelines_and_calibrated_classifiers_have_classes_too():
    direct = fitted(1 + Y)
    for outcome in (
        make_pipeline(StandardScaler(), LogisticRegression()),
        CalibratedClassifierCV(LogisticRegression()),
    ):
        other = fitted(1 + Y, outcome)
        np.testing.assert_allclose(other.effect(NEW), direct.effect(NEW), atol=0.05)
        assert other.ate() == pytest.approx(direct.ate(), abs=0.01)


@pytest.mark.parametrize(
    ("model", "y", "message"),
    [
        (AIPW(outcome=RandomForestRegressor), Y, r"^outcome: found the class RandomForestRegressor; expected an inst"),
        (AIPW(outcome=RidgeClassifier()), Y, r"^outcome: found the classifier RidgeClassifier without predict_proba"),
        (AIPW(propensity=RidgeClassifier()), Y, r"^propensity: found the classifier RidgeClassifier without"),
        (AIPW(outcome=RandomForestClassifier()), X[:, 1] + T, r"^outcome: found the classifier RandomForestClassifier"),
        (
            DRLearner(effect_model=LogisticRegression()),
            Y,
            r"^effect_model: found LogisticRegression\(\); expected a reg",
        ),
        (DRLearner(effect_model=Logistic()), Y, r"^effect_model: found Logistic\(.*expected a regressor"),
        (AIPW(outcome=Logistic()), 1 + Y, r"^outcome: found Logistic, which predicts prob.* from 1 to 2; expected"),
        (AIPW(outcome=MLPRegression(binary=True)), 1 + Y, r"^outcome: found MLPRegression, which predicts prob"),
        (
            RLearner(effect_model=make_pipeline(StandardScaler(), LinearRegression())),
            Y,
            r"^effect_model: found Pipeline, whose fit takes no sample_weight; expected an estimator with",
        ),
    ],
)
def test_regressions_that_do_not_fit_are_named(model, y, message):
    with pytest.raises(InputError, match=message):
        model.fit(y, T, X=X)


@pytest.mark.parametrize("outcome", [LogisticRegression(), DecisionTreeClassifier()])
def test_one_class_is_named_with_its_rows(outcome):
    with pytest.raises(InputError, match=r"^outcome: found .* one class \(1\) among \d+ rows .*in the treated arm"):
        AIPW(outcome=outcome).fit(np.where(T == 1, 1.0, Y), T, X=X)
    # All untreated rows of class 1 lie in one fold.
    folds = np.arange(N) % 4
    y = np.where((T == 0) & (folds != 2), 0.0, Y)
    with pytest.raises(InputError, match=r"one class \(0\) among \d+ rows outside fold 2 in the untreated arm"):
        AIPW(outcome=outcome).fit(y, T, X=X, folds=folds)


@pytest.mark.usefixtures("x64")
def test_a_logistic_regression_refuses_other_targets_itself():
    with pytest.raises(InputError, match=r"^y: found Logistic, which predicts probabilities, for values from 1 to 2"):
        Logistic().fit(X, 1 + Y, np.ones(N))
    # Rows without weight have no say.
    assert np.isfinite(Logistic().fit(X, np.where(T == 1, 7.0, Y), 1 - T).slopes).all()


def test_errors_that_are_not_about_weights_stay_what_they_are():
    with pytest.raises(ValueError, match="max_depth"):
        fitted(Y, DecisionTreeClassifier(max_depth=-3))


def test_a_dummy_outcome_of_classes_has_classes():
    result = refute(AIPW(outcome=LogisticRegression()).fit(Y, T, X=X), "dummy_outcome", simulations=5)
    assert abs(result.refuted.mean()) < 0.1


def test_numbers_of_numpy_give_the_same_answer():
    one = AIPW(outcome=Ridge(0.1), cv=3, clip=0.001, seed=4).fit(Y, T, X=X)
    numbers = {"cv": np.int64(3), "clip": np.float64(0.001), "seed": np.int32(4)}
    other = AIPW(outcome=Ridge(np.float64(0.1)), **numbers).fit(Y, T, X=X)
    assert repr(one) == repr(other)
    assert one.ate_interval(0.1) == other.ate_interval(np.float64(0.1))
    one = Matching(2, correct_bias=False).fit(Y, T, X=X)
    other = Matching(np.int64(2), metric=np.str_("mahalanobis"), correct_bias=np.bool_(False)).fit(Y, T, X=X)
    assert one.ate() == other.ate()
    learner = TLearner().fit(Y, T, X=X)
    given = {"alpha": np.float64(0.1), "draws": np.int64(5)}
    np.testing.assert_array_equal(
        learner.effect_interval(NEW, alpha=0.1, draws=5), learner.effect_interval(NEW, **given)
    )
