"""The nuisance regressions against scikit-learn and statsmodels, with weights, and their behaviour under transforms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.kernel_ridge import KernelRidge as SklearnKernelRidge
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from causalrep.effects import KernelRidge, LeastSquares, Logistic, NearestNeighbours, Ridge
from causalrep.errors import InputError

pytestmark = pytest.mark.usefixtures("x64")
N, D = 120, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, D)) @ RNG.normal(size=(D, D)) + 3
Y = np.sin(X[:, 0]) + X @ RNG.normal(size=D) + RNG.normal(size=N)
W = (RNG.random(N) < 0.6) * RNG.integers(1, 4, N).astype(float)
USED = W > 0
B = (RNG.random(N) < 1 / (1 + np.exp(-(X[:, 0] - X[:, 1])))).astype(float)
NEW = RNG.normal(size=(7, D)) + 3
EVERY = (LeastSquares(), Ridge(), Logistic(), KernelRidge(), NearestNeighbours(3))


def fitted(learner, y=Y, w=W, x=X, new=NEW):
    x, y, w = (jnp.asarray(a, float) for a in (x, y, w))
    return np.asarray(learner.predict(learner.fit(x, y, w), jnp.asarray(new)))


def test_least_squares_is_weighted_least_squares():
    expected = sm.WLS(Y, sm.add_constant(X), weights=W).fit().predict(sm.add_constant(NEW))
    np.testing.assert_allclose(fitted(LeastSquares()), expected, atol=1e-10)


def test_least_squares_takes_minimum_norm_slopes_on_standardized_columns():
    x = np.column_stack([X, X[:, 0] + X[:, 1], np.full(N, 5.0)])
    params = LeastSquares().fit(jnp.asarray(x), jnp.asarray(Y), jnp.ones(N))
    spread = np.where(np.arange(6) < 5, x.std(0), 1.0)
    peer = np.linalg.pinv((x - x.mean(0)) / spread, rcond=1e-10) @ (Y - Y.mean()) / spread
    np.testing.assert_allclose(params.slopes, peer, atol=1e-9)
    # A column that is constant among the rows used gets nothing, even if it varies elsewhere.
    x[~USED, 5] = 9.0
    assert float(LeastSquares().fit(jnp.asarray(x), jnp.asarray(Y), jnp.asarray(W)).slopes[5]) == 0.0


@pytest.mark.parametrize("penalty", [0.0, 0.01, 2.0])
def test_ridge_is_scikit_learn_s_on_standardized_columns(penalty):
    scaler = StandardScaler().fit(X, sample_weight=W)
    model = SklearnRidge(alpha=penalty * W.sum(), solver="svd").fit(scaler.transform(X), Y, sample_weight=W)
    np.testing.assert_allclose(fitted(Ridge(penalty)), model.predict(scaler.transform(NEW)), atol=1e-9)


def test_the_ridge_penalty_minimizes_generalized_cross_validation():
    scaled = (X - X.mean(0)) / X.std(0)
    candidates, scores = Ridge().candidates, []
    for penalty in candidates:
        hat = scaled @ np.linalg.solve(scaled.T @ scaled + N * penalty * np.eye(D), scaled.T) + 1 / N
        residual = Y - hat @ Y
        scores.append(residual @ residual / (1 - np.trace(hat) / N) ** 2)
    best = candidates[int(np.argmin(scores))]
    np.testing.assert_allclose(fitted(Ridge(), w=np.ones(N)), fitted(Ridge(best), w=np.ones(N)), atol=1e-12)
    assert 0 < int(np.argmin(scores)) < len(candidates) - 1


def test_logistic_is_maximum_likelihood():
    expected = sm.GLM(B, sm.add_constant(X), family=sm.families.Binomial(), freq_weights=W).fit(tol=1e-14)
    np.testing.assert_allclose(fitted(Logistic(penalty=0.0), B), expected.predict(sm.add_constant(NEW)), atol=1e-9)


def test_logistic_penalty_is_scikit_learn_s():
    scaler = StandardScaler().fit(X)
    model = LogisticRegression(C=1 / (0.1 * N), tol=1e-12, max_iter=1000).fit(scaler.transform(X), B)
    expected = model.predict_proba(scaler.transform(NEW))[:, 1]
    np.testing.assert_allclose(fitted(Logistic(penalty=0.1), B, np.ones(N)), expected, atol=1e-7)


def test_logistic_survives_separation():
    separated = (X[:, 0] > np.median(X[:, 0])).astype(float)
    for penalty in (0.0, 1e-4):
        result = fitted(Logistic(penalty), separated, np.ones(N), new=X)
        assert np.isfinite(result).all()
        np.testing.assert_array_equal(result > 0.5, separated == 1)


def test_kernel_ridge_is_scikit_learn_s():
    model, rows = KernelRidge(bandwidth=0.8, penalty=0.02), X[USED]
    scaled = (rows - rows.mean(0)) / rows.std(0)
    gamma = 1 / (2 * 0.8**2 * D)
    peer = SklearnKernelRidge(alpha=0.02 * len(rows), kernel="rbf", gamma=gamma).fit(scaled, Y[USED] - Y[USED].mean())
    expected = peer.predict((NEW - rows.mean(0)) / rows.std(0)) + Y[USED].mean()
    np.testing.assert_allclose(fitted(model, w=USED.astype(float)), expected, atol=1e-9)


def test_neighbors_are_scikit_learn_s():
    peer = KNeighborsRegressor(3).fit(X[USED] / X[USED].std(0), Y[USED])
    expected = peer.predict(NEW / X[USED].std(0))
    np.testing.assert_allclose(fitted(NearestNeighbours(3), w=USED.astype(float)), expected, atol=1e-12)
    raw = KNeighborsRegressor(3).fit(X[USED], Y[USED]).predict(NEW)
    result = fitted(NearestNeighbours(3, standardize=False), w=USED.astype(float))
    np.testing.assert_allclose(result, raw, atol=1e-12)
    assert np.abs(expected - raw).max() > 1e-3


@pytest.mark.parametrize("learner", EVERY, ids=lambda learner: type(learner).__name__)
def test_masks_scales_and_transforms(learner):
    y = B if isinstance(learner, Logistic) else Y
    mask = USED.astype(float)
    result = fitted(learner, y, mask)
    np.testing.assert_allclose(result, fitted(learner, y[USED], np.ones(USED.sum()), X[USED]), atol=1e-8)
    np.testing.assert_allclose(result, fitted(learner, y, 7 * mask), atol=1e-8)
    # What weight 0 leaves out may be anything finite.
    np.testing.assert_allclose(result, fitted(learner, np.where(USED, y, 1.0), mask), atol=1e-8)

    def predictions(w, x):
        return learner.predict(learner.fit(x, jnp.asarray(y, float), w), jnp.asarray(NEW))

    masks = jnp.stack([jnp.asarray(mask), jnp.ones(N)])
    columns = jnp.stack([jnp.asarray(X), jnp.asarray(X) * jnp.arange(1.0, D + 1)])
    batched = jax.jit(jax.vmap(jax.vmap(predictions, (0, None)), (None, 0)))(masks, columns)
    np.testing.assert_allclose(batched[0, 0], result, atol=1e-8)
    one = predictions(masks[1], columns[1])
    np.testing.assert_allclose(batched[1, 1], one, atol=1e-8)


def test_hyperparameters_are_checked_when_a_regression_is_made_and_traced_ones_pass():
    for make, argument in [
        (lambda: Ridge(penalty=-1), "penalty"),
        (lambda: Ridge(candidates=(0.1, -1.0)), "candidates"),
        (lambda: KernelRidge(bandwidth=0), "bandwidth"),
        (lambda: Logistic(penalty=float("nan")), "penalty"),
        (lambda: NearestNeighbours(2.5), "k"),
    ]:
        with pytest.raises(InputError, match=f"^{argument}"):
            make()
    assert Ridge(np.float32(0.5)) == Ridge(0.5) == Ridge(jnp.asarray(0.5), candidates=list(Ridge().candidates))
    assert hash(Ridge(candidates=[1.0])) == hash(Ridge(candidates=(1.0,)))
    x, y, w = (jnp.asarray(a, float) for a in (X, Y, W))
    traced = jax.jit(lambda penalty: Ridge(penalty).fit(x, y, w).slopes)(0.1)
    np.testing.assert_allclose(traced, Ridge(0.1).fit(x, y, w).slopes, atol=1e-12)
