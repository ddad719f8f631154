"""The façades: the door, scikit-learn's habits, intervals, prediction, printing."""

import pickle

import jax
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from causalrep.errors import CausalrepWarning, InputError, NoIntervalError, NotFittedError
from causalrep.iv import (
    GMM,
    JIVE,
    LIML,
    OLS,
    PULSE,
    AnchorRegression,
    Fuller,
    KClass,
    LinearIVEstimator,
    TwoStageLeastSquares,
    k_class,
)

N = 120
ALL = [
    OLS(),
    TwoStageLeastSquares(),
    LIML(),
    Fuller(4),
    KClass(0.5),
    JIVE(),
    GMM("cue"),
    AnchorRegression(3.0),
    PULSE(),
]
INTERVALS = ALL[:7]


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    z = pd.DataFrame(rng.normal(size=(N, 3)), columns=["rain", "distance", "lottery"])
    x = pd.DataFrame({"age": rng.normal(40, 10, N), "female": rng.integers(0, 2, N).astype(bool)})
    u = rng.normal(size=N)
    t = pd.Series(z.sum(axis=1) + u + rng.normal(size=N), name="dose")
    y = pd.Series(2 * t + 0.1 * x["age"] + u + rng.normal(size=N), name="health")
    return {"Y": y, "T": t, "X": x, "Z": z}


@pytest.mark.parametrize("estimator", ALL, ids=lambda e: type(e).__name__)
def test_habits(estimator, data):
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    with pytest.raises(NotFittedError, match="fit"):
        _ = copy.coef_
    with pytest.raises(NotFittedError):
        copy.summary()
    assert not hasattr(copy, "coef_")
    assert copy.fit(**data) is copy
    assert copy.names_ == ["dose", "age", "female", "Intercept"]
    again = pickle.loads(pickle.dumps(copy))
    np.testing.assert_array_equal(again.coef_, copy.coef_)
    assert copy.coef_.dtype == np.float64
    assert not jax.config.jax_enable_x64
    by_array = clone(estimator).fit(*(data[k].to_numpy() for k in "YT"), X=data["X"].to_numpy(), Z=data["Z"].to_numpy())
    np.testing.assert_array_equal(by_array.coef_, copy.coef_)
    assert by_array.names_ == ["T", "X0", "X1", "Intercept"]
    np.testing.assert_allclose(copy.predict(data["T"], data["X"]) + copy.residuals_, data["Y"], rtol=1e-9)
    assert copy.ate() == copy.coef_[0] == copy.effect()
    np.testing.assert_allclose(copy.effect(data["X"], T0=1, T1=3), np.full(N, 2 * copy.coef_[0]))
    printed = str(copy.summary())
    assert "dose" in printed
    assert "Intercept" in printed
    assert "<table" in copy.summary()._repr_html_()
    assert list(copy.summary().as_frame().index) == copy.names_
    assert type(estimator).__name__ in repr(estimator)


@pytest.mark.parametrize("estimator", INTERVALS, ids=lambda e: type(e).__name__)
def test_intervals(estimator, data):
    fitted = clone(estimator).fit(**data)
    np.testing.assert_allclose(fitted.stderr_**2, np.diagonal(fitted.cov_))
    wide, narrow = fitted.conf_int(0.01), fitted.conf_int(0.5)
    assert (wide["lower"] < narrow["lower"]).all()
    assert (wide["upper"] > narrow["upper"]).all()
    np.testing.assert_allclose(fitted.ate_interval(0.01), wide.loc["dose"])
    # A p-value of alpha puts zero at the end of the 1 - alpha interval.
    alpha = float(fitted.pvalues_[2])
    ends = fitted.conf_int(alpha).iloc[2]
    assert min(abs(ends)) == pytest.approx(0, abs=1e-9)


def test_reference_distributions(data):
    from scipy import stats

    exact = OLS().fit(**data)
    half = (exact.conf_int()["upper"] - exact.conf_int()["lower"]).iloc[0] / 2
    assert half / exact.stderr_[0] == pytest.approx(stats.t(N - 4).isf(0.025))
    normal = OLS(debiased=False).fit(**data)
    half = (normal.conf_int()["upper"] - normal.conf_int()["lower"]).iloc[0] / 2
    assert half / normal.stderr_[0] == pytest.approx(stats.norm.isf(0.025))
    clustered = OLS(covariance="cluster").fit(**data, clusters=np.arange(N) % 7)
    half = (clustered.conf_int()["upper"] - clustered.conf_int()["lower"]).iloc[0] / 2
    assert half / clustered.stderr_[0] == pytest.approx(stats.t(6).isf(0.025))


@pytest.mark.parametrize("estimator", [AnchorRegression(), PULSE()], ids=["anchor", "pulse"])
def test_penalised_estimators_refuse_intervals(estimator, data):
    estimator.fit(**data)
    assert np.isnan(estimator.stderr_).all()
    with pytest.raises(NoIntervalError, match="confounding"):
        estimator.conf_int()
    with pytest.raises(NoIntervalError):
        estimator.ate_interval()
    assert "No interval" in str(estimator.summary())


def test_a_subclass_supplies_one_method(data):
    class Halfway(LinearIVEstimator):
        def __init__(self, share=0.5, *, covariance="homoskedastic"):
            super().__init__(covariance=covariance)
            self.share = share

        def _estimate(self, y, x, z, c, covariance):
            return k_class(y, x, z, c, kappa=self.share, covariance=covariance)

    fitted = clone(Halfway(covariance="HC0")).fit(**data)
    np.testing.assert_allclose(fitted.coef_, KClass(0.5).fit(**data).coef_)
    assert fitted.get_params() == {"share": 0.5, "covariance": "HC0"}


def test_two_treatments_and_clashing_names():
    rng = np.random.default_rng(1)
    frames = [pd.DataFrame(rng.normal(size=(50, m))) for m in (2, 1, 3)]
    fitted = TwoStageLeastSquares().fit(rng.normal(size=50), frames[0], X=frames[1], Z=frames[2])
    assert len(set(fitted.names_)) == 4
    contrast = fitted.ate(T0=[0, 0], T1=[1, -1])
    assert contrast == pytest.approx(fitted.coef_[0] - fitted.coef_[1])
    with pytest.raises(InputError, match="T0"):
        fitted.ate()


def test_no_intercept_no_controls(data):
    fitted = TwoStageLeastSquares(fit_intercept=False).fit(data["Y"], data["T"], Z=data["Z"])
    assert fitted.intercept_ == 0.0
    assert fitted.names_ == ["dose"]
    np.testing.assert_allclose(fitted.predict(data["T"]), data["T"] * fitted.coef_[0])


def test_infeasible_pulse_warns(data):
    y = data["Y"] + 3 * data["Z"]["rain"]
    with pytest.warns(CausalrepWarning, match="exclusion"):
        fitted = PULSE().fit(y, data["T"], X=data["X"], Z=data["Z"])
    assert not fitted.feasible_
    np.testing.assert_allclose(
        fitted.coef_, TwoStageLeastSquares().fit(y, data["T"], X=data["X"], Z=data["Z"]).coef_, rtol=1e-8
    )


def with_value(frame, value):
    frame = frame.astype(float).copy()
    frame.iloc[3] = value
    return frame


# What the analyst did -> the argument the error names, and a word of it.
MISTAKES = {
    "missing outcome": (lambda d: d | {"Y": with_value(d["Y"], np.nan)}, "Y", "missing or infinite"),
    "infinite instrument": (lambda d: d | {"Z": with_value(d["Z"], np.inf)}, "Z", "rain"),
    "short treatment": (lambda d: d | {"T": d["T"].to_numpy()[:-1]}, "T", "119 rows"),
    "short controls": (lambda d: d | {"X": d["X"].to_numpy()[:-1]}, "X", "119 rows"),
    "no instruments": (lambda d: d | {"Z": None}, "Z", "None"),
    "too few instruments": (
        lambda d: d | {"T": d["X"] * 1.0, "X": None, "Z": d["Z"]["rain"]},
        "Z",
        "1 instrument",
    ),
    "collinear controls": (lambda d: d | {"X": d["X"].assign(months=12 * d["X"]["age"] + 1)}, "X", "months"),
    "constant control": (lambda d: d | {"X": d["X"].assign(one=1.0)}, "X", "one"),
    "constant instrument": (
        lambda d: d | {"Z": d["Z"].assign(flat=5.0)},
        "Z",
        "constant instruments ['flat']",
    ),
    "instrument among controls": (lambda d: d | {"Z": d["Z"].assign(copy=d["X"]["age"] * 2)}, "Z", "copy"),
    "repeated instrument": (lambda d: d | {"Z": d["Z"].assign(twice=2 * d["Z"]["rain"])}, "Z", "twice"),
    "treatment among controls": (lambda d: d | {"T": d["X"]["age"] - 3}, "T", "age"),
    "constant treatment": (lambda d: d | {"T": np.ones(N)}, "T", "constant"),
    "empty frame": (lambda d: d | {"X": d["X"].iloc[:, :0]}, "X", "no data"),
    "empty outcome": (lambda d: d | {"Y": np.zeros(0)}, "Y", "no data"),
    "words": (lambda d: d | {"X": d["X"].assign(town="Bonn")}, "X", "town"),
    "two outcomes": (lambda d: d | {"Y": d["Z"]}, "Y", "3 columns"),
    "misaligned index": (lambda d: d | {"T": d["T"].iloc[::-1]}, "T", "index"),
    "too few rows": (lambda d: {k: v.iloc[:7] for k, v in d.items()}, "Y", "7 rows"),
    "clusters without request": (lambda d: d | {"clusters": np.arange(N) % 5}, "clusters", "homoskedastic"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_door(mistake, data):
    spoil, argument, word = MISTAKES[mistake]
    with pytest.raises(InputError) as caught:
        TwoStageLeastSquares().fit(**spoil(data))
    assert caught.value.argument == argument
    assert word in str(caught.value)


def test_cluster_labels(data):
    estimator = TwoStageLeastSquares(covariance="cluster")
    for clusters, word in ((None, "None"), (["a"] * N, "one group"), (np.arange(N - 1), "labels")):
        with pytest.raises(InputError, match=word) as caught:
            estimator.fit(**data, clusters=clusters)
        assert caught.value.argument == "clusters"
    words = np.array(["north", "south", "east"])[np.arange(N) % 3]
    by_word = estimator.fit(**data, clusters=words).stderr_
    np.testing.assert_allclose(by_word, estimator.fit(**data, clusters=np.arange(N) % 3).stderr_)
    with pytest.raises(InputError, match="3 groups for 6 moments"):
        GMM(covariance="cluster").fit(**data, clusters=words)


@pytest.mark.parametrize(
    ("estimator", "argument"),
    [
        (TwoStageLeastSquares(covariance="robust"), "covariance"),
        (TwoStageLeastSquares(covariance=1), "covariance"),
        (TwoStageLeastSquares(covariance=np.ones(3)), "covariance"),
        (TwoStageLeastSquares(covariance="HAC", bandwidth=-1), "bandwidth"),
        (TwoStageLeastSquares(covariance="HAC", bandwidth=2.5), "bandwidth"),
        (GMM(covariance="HC3"), "covariance"),
        (GMM("three-step"), "weighting"),
        (Fuller(-1), "a"),
        (KClass("liml"), "kappa"),
        (AnchorRegression(0.0), "gamma"),
        (PULSE(1.5), "p_min"),
    ],
    ids=repr,
)
def test_hyperparameters(estimator, argument, data):
    with pytest.raises(InputError) as caught:
        estimator.fit(**data)
    assert caught.value.argument == argument


def test_use_after_fit(data):
    fitted = TwoStageLeastSquares().fit(**data)
    with pytest.raises(InputError, match="alpha"):
        fitted.conf_int(1.5)
    with pytest.raises(InputError, match="X"):
        fitted.predict(data["T"])
    with pytest.raises(InputError, match="T"):
        fitted.predict(data["Z"], data["X"])
    with pytest.raises(InputError, match="bandwith"):
        fitted.set_params(bandwith=3)
    with pytest.raises(InputError, match="cluster"):
        fitted.wild_bootstrap()
    with pytest.raises(AttributeError, match="no attribute"):
        _ = fitted.coefficients


def test_wild_bootstrap_method(data):
    fitted = TwoStageLeastSquares(covariance="cluster").fit(**data, clusters=np.arange(N) % 9)
    result = fitted.wild_bootstrap("dose", null=2.0)
    assert result == fitted.wild_bootstrap(0, null=2.0)
    numbers = {"null": np.int64(2), "alpha": np.float64(0.05), "draws": np.int64(999), "seed": np.int64(0)}
    assert result == fitted.wild_bootstrap(np.int64(0), **numbers)
    assert result.statistic == pytest.approx((fitted.coef_[0] - 2.0) / fitted.stderr_[0], rel=1e-9)
    assert (result.p_value > 0.05) == (result.lower < 2.0 < result.upper)
    assert result.lower < fitted.coef_[0] < result.upper
    for wrong in ({"treatment": "age"}, {"draws": 0}, {"weights": "normal"}, {"alpha": 0}, {"null": np.nan}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            fitted.wild_bootstrap(**wrong)
