"""The meta-learners: what each must equal in closed form, and that they recover an effect that others miss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.effects import LeastSquares, Logistic, meta
from causalrep.effects.intervals import bootstrap_effects, conformal_effects
from causalrep.inference import stratified_folds

pytestmark = pytest.mark.usefixtures("x64")
LS, LOGIT = LeastSquares(), Logistic(penalty=0.0)
LEARNERS = {
    "S": meta.S(LS),
    "T": meta.T(LS),
    "X": meta.X(LS, LS, LOGIT),
    "R": meta.R(LS, LS, LOGIT),
    "DR": meta.DR(LS, LS, LOGIT),
}


@pytest.fixture
def rows(s2):
    x, t, y = (jnp.asarray(a) for a in (s2.x, s2.t, s2.y))
    return meta.EffectRows(x, x, t, y, jnp.ones_like(y), jnp.asarray(s2.folds))


def effects(learner, rows):
    return np.asarray(learner.predict(learner.fit(rows), rows.x))


def ols(x, y):
    return np.linalg.lstsq(np.column_stack([np.ones(len(y)), x]), y, rcond=None)[0]


def test_s_with_least_squares_is_the_coefficient_of_the_treatment(s2, rows):
    coefficient = ols(np.column_stack([s2.x, s2.t]), s2.y)[-1]
    np.testing.assert_allclose(effects(meta.S(LS), rows), coefficient, atol=1e-9)


def test_t_and_x_with_least_squares_are_the_difference_of_two_regressions(s2, rows):
    slopes = [ols(s2.x[s2.t == arm], s2.y[s2.t == arm]) for arm in (0, 1)]
    expected = np.column_stack([np.ones(len(s2.y)), s2.x]) @ (slopes[1] - slopes[0])
    np.testing.assert_allclose(effects(meta.T(LS), rows), expected, atol=1e-9)
    # Imputed effects are linear plus residuals that are orthogonal to x: both stages give the same line.
    np.testing.assert_allclose(effects(LEARNERS["X"], rows), expected, atol=1e-8)


def test_r_is_econml_s_linear_dml(s2, rows):
    dml = pytest.importorskip("econml.dml")
    from sklearn.linear_model import LinearRegression, LogisticRegression

    splits = [(np.nonzero(s2.folds != k)[0], np.nonzero(s2.folds == k)[0]) for k in range(5)]
    peer = dml.LinearDML(
        model_y=LinearRegression(),
        model_t=LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000),
        discrete_treatment=True,
        cv=splits,
    ).fit(s2.y, s2.t, X=s2.x)
    np.testing.assert_allclose(effects(LEARNERS["R"], rows), peer.effect(s2.x), atol=1e-5)


def test_dr_is_the_regression_of_the_scores(s2, rows):
    result = effects(LEARNERS["DR"], rows)
    # DoubleML's average of the same scores.
    assert result.mean() == pytest.approx(0.9356658142, abs=1e-8)


@pytest.mark.parametrize("name", LEARNERS)
def test_jit_vmap_and_masks(name, rows):
    learner = LEARNERS[name]
    few = meta.EffectRows(*(a[:400] for a in rows))
    half = few._replace(w=(jnp.arange(400) < 300).astype(float))

    def fit(w):
        return learner.predict(learner.fit(few._replace(w=w)), few.x)

    batched = jax.jit(jax.vmap(fit))(jnp.stack([few.w, half.w]))
    np.testing.assert_allclose(batched[0], effects(learner, few), atol=1e-8)
    np.testing.assert_allclose(batched[1], fit(half.w), atol=1e-8)
    kept = meta.EffectRows(*(a[:300] for a in few))
    np.testing.assert_allclose(batched[1][:300], effects(learner, kept), atol=1e-7)


def test_all_but_s_recover_a_heterogeneous_effect(s2, rows):
    for name, learner in LEARNERS.items():
        error = np.sqrt(np.mean((effects(learner, rows) - s2.tau) ** 2))
        assert error < 0.2 if name != "S" else error > 0.4, name


def test_bootstrap_and_conformal_intervals_cover():
    """Over samples of a right model; a shuffled treatment is the negative control of the conformal interval."""

    def one(key, shuffle=False):
        keys = jax.random.split(key, 6)
        n = 400
        x = jax.random.normal(keys[0], (n + 20, 2))
        t = jax.random.bernoulli(keys[1], jax.nn.sigmoid(x[:, 0])).astype(float)
        y0 = x[:, 0] + jax.random.normal(keys[2], (n + 20,))
        y1 = x[:, 0] + 3 + x[:, 1] + jax.random.normal(keys[3], (n + 20,))
        y = jnp.where(t == 1, y1, y0)
        t = jax.random.permutation(keys[5], t) if shuffle else t
        folds = stratified_folds(keys[4], t, 2)
        data = meta.EffectRows(x, x, t, y, (jnp.arange(n + 20) < n).astype(float), folds)
        new = x[n:]
        low, high = conformal_effects(keys[4], LS, LOGIT, data, new, 0.1)
        individual = jnp.mean((low <= (y1 - y0)[n:]) & ((y1 - y0)[n:] <= high))
        draws = bootstrap_effects(keys[4], meta.T(LS), data, new, 40)
        center = meta.T(LS).predict(meta.T(LS).fit(data), new)
        expected = jnp.mean(jnp.abs(center - (3 + new[:, 1])) <= 1.645 * jnp.std(draws, axis=0, ddof=1))
        return individual, expected

    keys = jax.random.split(jax.random.key(0), 100)
    individual, expected = jax.jit(lambda k: jax.lax.map(one, k))(keys)
    assert float(individual.mean()) > 0.9
    assert 0.85 < float(expected.mean()) < 0.94
    _, wrong = jax.jit(lambda k: jax.lax.map(lambda key: one(key, shuffle=True), k))(keys[:40])
    assert float(wrong.mean()) < 0.3
