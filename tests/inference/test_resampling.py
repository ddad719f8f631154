"""Cross-fitting, the weighted bootstrap and conformal quantiles."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.effects import LeastSquares, Ridge
from causalrep.errors import InputError
from causalrep.inference import bootstrap_weights, conformal_quantile, cross_fit, over_weights, stratified_folds

pytestmark = pytest.mark.usefixtures("x64")


def test_folds_are_even_within_the_arms():
    t = jnp.asarray(np.random.default_rng(0).random(103) < 0.3, float)
    folds = np.asarray(stratified_folds(jax.random.key(1), t, 5))
    for rows in (t == 0, t == 1, t >= 0):
        counts = np.bincount(folds[np.asarray(rows)], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert not np.array_equal(folds, stratified_folds(jax.random.key(2), t, 5))


@dataclasses.dataclass(frozen=True)
class Host:
    """Ridge regression as ordinary Python."""

    host: ClassVar[bool] = True

    def fit(self, x, y, w):
        assert isinstance(float(w.sum()), float)
        return Ridge(0.1).fit(x, y, w)

    def predict(self, params, x):
        return np.asarray(Ridge(0.1).predict(params, x))


def test_no_row_is_predicted_by_a_model_that_saw_it():
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=(40, 2)), rng.normal(size=40), np.ones(40)
    w[:5] = 0
    folds = np.arange(40) % 4
    x, y, w, codes = (jnp.asarray(a) for a in (x, y, w, folds))
    predicted = cross_fit(Ridge(0.1), x, y, w, codes, 4)
    for k in range(4):
        training = (folds != k) & (np.asarray(w) > 0)
        alone = Ridge(0.1).fit(x[training], y[training], jnp.ones(training.sum()))
        np.testing.assert_allclose(predicted[folds == k], Ridge(0.1).predict(alone, x[folds == k]), atol=1e-10)
    np.testing.assert_allclose(predicted, cross_fit(Host(), x, y, w, codes, 4), atol=1e-12)


def test_bootstrap_weights_are_draws_with_replacement_within_arms():
    t = jnp.asarray([0.0] * 30 + [1.0] * 10)[jnp.asarray(np.random.default_rng(0).permutation(40))]
    w = np.asarray(bootstrap_weights(jax.random.key(0), t, 4000))
    treated = np.asarray(t) == 1
    assert (w[:, treated].sum(1) == 10).all()
    assert (w[:, ~treated].sum(1) == 30).all()
    # Multinomial: mean 1, variance 1 - 1/n of the arm.
    np.testing.assert_allclose(w.mean(0), 1.0, atol=0.08)
    np.testing.assert_allclose(w[:, treated].var(0).mean(), 0.9, atol=0.03)
    np.testing.assert_allclose(w[:, ~treated].var(0).mean(), 1 - 1 / 30, atol=0.03)


def test_the_bootstrap_of_a_mean_has_its_standard_error():
    y = jnp.asarray(np.random.default_rng(0).normal(size=200))
    weights = bootstrap_weights(jax.random.key(0), jnp.zeros(200), 2000)
    draws = over_weights(lambda w: (w @ y / jnp.sum(w))[None], weights)
    assert float(draws.std()) == pytest.approx(float(y.std()) / 200**0.5, rel=0.06)
    host = over_weights(lambda w: np.asarray(w @ y / w.sum())[None], weights[:20], host=True)
    np.testing.assert_allclose(host, draws[:20], atol=1e-12)


def test_conformal_quantile_by_hand():
    scores = jnp.array([3.0, 1.0, 2.0])
    ones = jnp.ones(3)
    # Ranks 1..3 of 4, the test unit's score infinite: the level 3/4 is met at the third.
    for alpha, expected in ((0.25, 3.0), (0.5, 2.0), (0.75, 1.0), (0.2, np.inf)):
        assert float(conformal_quantile(scores, ones, jnp.ones(1), alpha)[0]) == expected
    weights = jnp.array([1.0, 0.0, 2.0])
    assert float(conformal_quantile(scores, weights, jnp.array([1.0]), 0.5)[0]) == 2.0
    assert float(conformal_quantile(scores, weights, jnp.array([9.0]), 0.5)[0]) == np.inf


def test_conformal_coverage_under_a_shift():
    """Weights repair the coverage that a covariate shift breaks; without them it is missed by far."""

    def one(key):
        x_key, y_key, z_key, u_key = jax.random.split(key, 4)
        x = jax.random.normal(x_key, (200,))
        scores = jnp.abs(jnp.exp(x / 2) * jax.random.normal(y_key, (200,)))
        # Test points from N(1, 1): the likelihood ratio is exp(x - 1/2).
        new = 1.0 + jax.random.normal(z_key, (1,))
        truth = jnp.abs(jnp.exp(new / 2) * jax.random.normal(u_key, (1,)))
        ratio, ratio_new = jnp.exp(x - 0.5), jnp.exp(new - 0.5)
        weighted = conformal_quantile(scores, ratio, ratio_new, 0.2)
        plain = conformal_quantile(scores, jnp.ones(200), jnp.ones(1), 0.2)
        return (truth <= weighted)[0], (truth <= plain)[0]

    weighted, plain = jax.vmap(one)(jax.random.split(jax.random.key(0), 2000))
    assert 0.78 < float(weighted.mean()) < 0.86
    assert float(plain.mean()) < 0.72


def test_resampling_refuses_what_it_cannot_use():
    key, t = jax.random.key(0), jnp.array([0.0, 0, 1, 1])
    half = jnp.ones(4)
    refusals = {
        "labels: found codes from 1 to 2": lambda: bootstrap_weights(key, t + 1, 4),
        "labels: found values that": lambda: bootstrap_weights(key, t * jnp.nan, 4),
        "draws: found 0": lambda: bootstrap_weights(key, t, 0),
        "n_folds: found 1;": lambda: stratified_folds(key, t, 1),
        "n_folds: found 9;": lambda: stratified_folds(key, t, 9),
        "labels: found 1 missing": lambda: stratified_folds(key, t.at[0].set(jnp.nan), 2),
        "folds: found codes": lambda: cross_fit(LeastSquares(), t[:, None], t, half, jnp.arange(4), 2),
        "w: found 3 rows": lambda: cross_fit(LeastSquares(), t[:, None], t, half[:3], jnp.arange(4) % 2, 2),
        "alpha": lambda: conformal_quantile(t, half, half, 1.5),
        "scores: found 1 missing": lambda: conformal_quantile(t.at[0].set(jnp.nan), half, half, 0.1),
        "weights: found negative": lambda: conformal_quantile(t, -half, half, 0.1),
        "weights: found shape": lambda: conformal_quantile(t, half[:, None], half, 0.1),
    }
    for message, call in refusals.items():
        with pytest.raises(InputError, match=message):
            call()
    for count in (np.int64(2), np.int32(2)):
        assert bootstrap_weights(key, t > 0, count).shape == (2, 4)
        assert sorted(stratified_folds(key, t, count).tolist()) == [0, 0, 1, 1]
