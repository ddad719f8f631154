"""Trained networks: known effects, replications as one program, façades, and input that must be refused."""

import pickle
from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from causalrep.effects import BNN, CFRNet, DragonNet, DRLearner, SNet, TARNet, meta
from causalrep.effects.networks import CFRLearner, DragonLearner, MLPRegression, SNetLearner
from causalrep.errors import (
    CausalrepWarning,
    DivergenceError,
    InputError,
    NoIntervalError,
    NotFittedError,
    OverlapWarning,
)
from causalrep.training.rows import Schedule
from causalrep.training.trained import refuse_divergence

N = 400
CORES = {
    "CFR": CFRLearner(representation=(24,), heads=(16,), alpha=0.1, schedule=Schedule(steps=600, learning_rate=3e-3)),
    "DragonNet": DragonLearner(
        representation=(24,), heads=(16,), schedule=Schedule(epochs=60, learning_rate=3e-3), sgd_epochs=2
    ),
    "SNet": SNetLearner(large=(16,), small=(8,), heads=(16,), schedule=Schedule(steps=600, learning_rate=1e-2)),
}


def draw(seed, n=N):
    """A confounded sample with the effect ``1 + x1``; the difference in means is off by more than 0.4."""
    rng = np.random.default_rng(seed)
    x, u, noise = rng.normal(size=(n, 3)), rng.uniform(size=n), rng.normal(size=n)
    t = (u < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    tau = 1 + x[:, 1]
    return x, t, 2 * np.tanh(x[:, 0]) + t * tau + 0.3 * noise, tau


@cache
def together(learner):
    """One compiled program for two replications."""
    return jax.jit(jax.vmap(learner.fit))


def as_rows(x, t, y, w=None):
    n = len(y)
    return meta.EffectRows(x, x, t, y, np.ones(n) if w is None else w, np.zeros(n, int))


@pytest.mark.parametrize("name", CORES)
def test_recovers_effects_that_a_comparison_misses_in_two_replications_at_once(name):
    learner, samples = CORES[name], [draw(seed) for seed in (0, 1)]
    rows = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(as_rows(x, t, y) for x, t, y, _ in samples))
    keys = jax.random.split(jax.random.key(0))
    predicted = together(learner)(rows, keys)
    effects = jax.vmap(learner.predict)(predicted, rows.x)
    assert not predicted.diverged.any()
    for effect, (_, t, y, tau) in zip(effects, samples, strict=True):
        naive = y[t == 1].mean() - y[t == 0].mean()
        assert abs(naive - tau.mean()) > 0.4
        assert abs(effect.mean() - tau.mean()) < 0.35
        assert np.corrcoef(effect, tau)[0, 1] > 0.85
    assert not np.allclose(effects[0], effects[1])


@pytest.mark.parametrize("outcome_units", [True, False])
def test_penalties_against_errors_in_the_outcome_s_units_or_against_standardized_ones(outcome_units):
    """Four times the outcome leaves the standardized fit alone; in its own units 16 times the penalties do."""
    x, t, y, _ = draw(0, n=100)
    common = CFRLearner(
        representation=(8,),
        heads=(8,),
        alpha=0.1,
        penalty=0.01,
        discrepancy="linear",
        schedule=Schedule(steps=100, batch_size=50, learning_rate=3e-3),
        eval_after=0,
        outcome_units=outcome_units,
    )
    stronger = replace(common, alpha=1.6, penalty=0.16)
    key = jax.random.key(0)

    def effect(learner, scale):
        return np.asarray(learner.predict(jax.jit(learner.fit)(as_rows(x, t, scale * y), key), x)) / scale

    once, same, changed = effect(common, 1.0), effect(common, 4.0), effect(stronger, 4.0)
    equal, other = (changed, same) if outcome_units else (same, changed)
    spread = once.std()
    np.testing.assert_allclose(equal, once, atol=0.02 * spread)
    assert np.abs(other - once).max() > 0.1 * spread


def test_a_replication_alone_is_its_lane_and_rows_without_weight_teach_nothing():
    learner = CORES["CFR"]
    x, t, y, _ = draw(0)
    w = (np.arange(N) < 300).astype(float)
    wrong = np.where(w > 0, y, 1e6)
    keys = jax.random.split(jax.random.key(0))
    rows, other = as_rows(x, t, y, w), as_rows(np.where(w[:, None] > 0, x, np.nan), t, wrong, w)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), rows, other)
    lanes = together(learner)(both, jnp.stack([keys[0], keys[0]]))
    alone = jax.jit(learner.fit)(rows, keys[0])
    first, second = jax.vmap(learner.predict, in_axes=(0, None))(lanes, x)
    np.testing.assert_array_equal(first, second)
    # Hundreds of updates in float32: sums in another order drift apart.
    np.testing.assert_allclose(first, learner.predict(alone, x), atol=0.05)


# ---------------------------------------------------------------- façades

SMALL = TARNet(representation=(24,), heads=(16,), schedule=Schedule(steps=400, learning_rate=3e-3), cv=2)


@pytest.fixture(scope="module")
def fitted():
    x, t, y, tau = draw(2)
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    model = TARNet(**SMALL.get_params(deep=False)).fit(pd.Series(y, name="wage"), pd.Series(t, name="course"), X=frame)
    return model, frame, t, y, tau


def test_facade(fitted):
    model, frame, _, _, tau = fitted
    assert np.corrcoef(model.effect(), tau)[0, 1] > 0.85
    assert "ate_" not in model.__dict__
    low, high = model.ate_interval()
    assert low < model.ate() < high
    assert low - 0.1 < tau.mean() < high + 0.1
    assert high - low < 0.5
    text = str(model.summary())
    assert "wage" in text
    assert "doubly robust" in text
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.effect(), model.effect())
    np.testing.assert_allclose(again.effect(frame[:5]), model.effect()[:5], atol=1e-4)
    assert again.ate() == model.ate()
    np.testing.assert_array_equal(model.effect(frame[["b", "a", "c"]]), model.effect(frame))


def test_the_conformal_interval_holds_a_units_own_effect(fitted):
    model, *_ = fitted
    low, high = model.effect_interval(alpha=0.2)
    x, _, _, tau = draw(2)
    rng = np.random.default_rng(3)
    individual = tau + 0.3 * (rng.normal(size=len(x)) - rng.normal(size=len(x)))
    finite = np.isfinite(high - low)
    assert finite.mean() > 0.5
    assert np.mean((low <= individual) & (individual <= high)) > 0.75
    # Not the whole line: the nominal width for noise of 0.3 an arm is about 1.5.
    assert np.median((high - low)[finite]) < 4
    with pytest.raises(NoIntervalError, match="bias of unknown size"):
        model.effect_interval(kind="bootstrap")


def test_a_perceptron_is_a_nuisance_of_any_meta_learner(x64):
    x, t, y, tau = draw(4)
    net = MLPRegression(hidden=(16,), schedule=Schedule(steps=300, learning_rate=1e-2))
    rows = jax.tree.map(jnp.asarray, as_rows(x, t, y))
    learner, propensity = meta.T(net), replace(net, binary=True, schedule=Schedule(steps=100, learning_rate=1e-2))

    @jax.jit
    def run(rows):
        probability = propensity.predict(propensity.fit(rows.x, rows.t, rows.w), rows.x)
        return learner.predict(learner.fit(rows), rows.x), probability

    effect, probability = run(rows)
    assert np.corrcoef(effect, tau)[0, 1] > 0.6
    assert abs(effect.mean() - tau.mean()) < 0.35
    assert (probability > 0).all()
    assert (probability < 1).all()
    assert np.corrcoef(probability, 1 / (1 + np.exp(-x[:, 0])))[0, 1] > 0.8
    DRLearner(outcome=net, effect_model=net, propensity=propensity)._check_domains()


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"T": np.ones(N)}, "^T: found 400 rows, all treated"),
        ({"T": np.arange(N) % 3}, "^T: found 3 values"),
        ({"Y": np.r_[np.nan, np.zeros(N - 1)]}, "^Y"),
        ({"X": np.full((N, 2), np.nan)}, "^X"),
        ({"X": np.ones((N, 2))}, "^X: found only constant columns"),
        ({"W": np.ones(N)}, "^W: found covariates; expected them in X"),
        ({"X": None}, "^X: found None"),
        ({"X": np.zeros((N - 1, 2))}, "^X"),
    ],
)
def test_wrong_data_is_refused_by_name(change, word):
    x, t, y, _ = draw(0)
    data = {"Y": y, "T": t, "X": x} | change
    with pytest.raises(InputError, match=word):
        SMALL.fit(data.pop("Y"), data.pop("T"), **data)


@pytest.mark.parametrize(
    ("estimator", "word"),
    [
        (TARNet(representation=()), "representation"),
        (TARNet(heads="100"), "heads"),
        (TARNet(schedule=Schedule(steps=0)), "schedule.steps"),
        (TARNet(schedule=Schedule(validation_share=1.0)), "schedule.validation_share"),
        (TARNet(schedule=Schedule(epochs=3)), "schedule"),
        (TARNet(schedule=Schedule(learning_rate=float("nan"))), "schedule.learning_rate"),
        (TARNet(seed=0.5), "seed"),
        (TARNet(propensity="logit"), "propensity"),
        (CFRNet(discrepancy="energy"), "discrepancy"),
        (CFRNet(alpha=-1.0), "alpha"),
        (BNN(schedule=Schedule(batch_size=0)), "schedule.batch_size"),
        (DragonNet(targeted=-1), "targeted"),
        (DragonNet(schedule=Schedule(epochs=1.5)), "schedule.epochs"),
        (DragonNet(sgd_epochs=1.5), "sgd_epochs"),
        (SNet(small=(5, 0)), "small"),
        (SNet(cv=1), "cv"),
    ],
)
def test_wrong_hyperparameters_are_named(estimator, word):
    x, t, y, _ = draw(0)
    with pytest.raises(InputError, match=f"^{word}"):
        estimator.fit(y, t, X=x)


def test_constant_covariates_tiny_samples_and_thin_overlap_give_numbers():
    tiny = TARNet(representation=(24,), heads=(16,), schedule=Schedule(steps=20), cv=2)
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=10), np.full(10, 0.1)])
    t = np.arange(10) % 2
    with pytest.warns(CausalrepWarning, match="constant"):
        model = tiny.fit(x[:, 0] + t, t, X=x)
    assert np.isfinite(model.effect()).all()
    with pytest.raises(InputError, match=r"^T: found 1 untreated rows; expected at least 4"):
        tiny.fit(x[:, 0] + t, np.r_[0, np.ones(9)], X=x)
    x, t, y, _ = draw(5)
    with pytest.raises(InputError, match="no overlap"):
        SMALL.fit(y, (x[:, 0] > 0).astype(float), X=x)
    with pytest.warns(OverlapWarning, match=r"of 400 rows"):
        TARNet(**SMALL.get_params(deep=False) | {"clip": 0.2}).fit(y, t, X=x)


def test_before_fit_and_after_divergence(fitted):
    with pytest.raises(NotFittedError):
        _ = TARNet().ate_
    with pytest.raises(NotFittedError):
        TARNet().effect()
    model, *_ = fitted
    with pytest.raises(DivergenceError, match=r"TARNet\(.*learning_rate"):
        refuse_divergence(model.params_._replace(diverged=np.array(True)), model)
    assert TARNet(cv=5).set_params(cv=7).get_params()["cv"] == 7
