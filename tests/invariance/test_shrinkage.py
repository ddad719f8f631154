"""Ridge and lasso against scikit-learn, the mixture against its formula, and that shrinking helps when it should."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Lasso, Ridge

from causalrep import linalg
from causalrep.invariance import causal_regularization, kania_wit, ridge
from causalrep.invariance import confounder_corrected as corrected
from causalrep.iv import confounder_corrected_norm

confounder_corrected = jax.jit(corrected, static_argnames="norm")
pytestmark = pytest.mark.usefixtures("x64")


def lasso(y, x, penalties, **options):
    return linalg.lasso(x, y[:, None], penalties, **options).T


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))
    return x @ [1.0, 0, 0, -2.0, 0, 0.5] + rng.normal(size=200), x


def test_ridge_and_lasso_agree_with_scikit_learn(data):
    y, x = data
    penalties = np.array([0.05, 0.5, 3.0])
    ours_l2 = ridge(jnp.asarray(y), jnp.asarray(x), jnp.asarray(penalties))
    ours_l1 = lasso(jnp.asarray(y), jnp.asarray(x), jnp.asarray(penalties), sweeps=500)
    for i, penalty in enumerate(penalties):
        l2 = Ridge(alpha=penalty, fit_intercept=False).fit(x, y).coef_
        l1 = Lasso(alpha=penalty, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x, y).coef_
        np.testing.assert_allclose(ours_l2[i], l2, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(ours_l1[i], l1, atol=1e-7)


def test_a_column_of_zeros_gets_zero(data):
    y, x = data
    wide = jnp.asarray(np.column_stack([x, np.zeros(200)]))
    penalties = jnp.array([0.5])
    for fit in (ridge, lasso):
        result = fit(jnp.asarray(y), wide, penalties)
        assert float(result[0, -1]) == 0.0
        np.testing.assert_allclose(result[0, :-1], fit(jnp.asarray(y), wide[:, :-1], penalties)[0], atol=1e-9)


def test_the_corrected_length_is_met(data):
    y, x = jnp.asarray(data[0]), jnp.asarray(data[1])
    penalties = jnp.logspace(-3, 6, 200)
    target = float(confounder_corrected_norm(y, x))
    result = confounder_corrected(y, x, penalties, norm="l2")
    assert float(jnp.linalg.norm(result.coef)) == pytest.approx(target, rel=0.05)
    assert float(result.penalty) in np.asarray(penalties)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_shrinking_helps_under_confounding(norm):
    """Confounding along random directions lengthens least squares, mostly along small eigenvalues (Janzing 2019)."""
    rng = np.random.default_rng(1)
    gains = []
    for _ in range(6):
        m, n = 12, 1500
        mixing, f, confounding = rng.normal(size=(m, m)), rng.normal(size=m), 2 * rng.normal(size=m)
        c = rng.normal(size=(n, m))
        x = c @ mixing
        y = x @ f / 4 + c @ confounding + rng.normal(size=n)
        plain = np.linalg.lstsq(x, y, rcond=None)[0]
        result = confounder_corrected(jnp.asarray(y), jnp.asarray(x), jnp.logspace(-4, 5, 40), norm=norm).coef
        gains.append(np.sum((plain - f / 4) ** 2) - np.sum((np.asarray(result) - f / 4) ** 2))
    assert np.median(gains) > 0


def test_mixture_is_its_formula(data):
    y, x = data
    shifted = np.arange(200) % 2 == 1
    for penalty in (0.0, 0.6, 2.5):
        s, c = ([a[shifted == k].T @ b[shifted == k] / 100 for k in (0, 1)] for a, b in ((x, x), (x, y)))
        wanted = np.linalg.pinv(penalty * (s[1] - s[0]) + s[1] + s[0]) @ (penalty * (c[1] - c[0]) + c[1] + c[0])
        result = causal_regularization(jnp.asarray(y), jnp.asarray(x), jnp.asarray(shifted), penalty)
        np.testing.assert_allclose(result, wanted, rtol=1e-8, atol=1e-10)
    pooled = causal_regularization(jnp.asarray(y), jnp.asarray(x), jnp.asarray(shifted), 0.0)
    np.testing.assert_allclose(pooled, np.linalg.lstsq(x, y, rcond=None)[0], rtol=1e-8)


def test_difference_regression_removes_the_confounding_both_environments_share():
    rng = np.random.default_rng(2)
    n, f = 20_000, np.array([1.0, -0.5])
    shifted = np.arange(n) >= n // 2
    c = rng.normal(size=n)
    x = c[:, None] + rng.normal(size=(n, 2)) * np.where(shifted, 2.0, 1.0)[:, None]
    y = x @ f + 3 * c + rng.normal(size=n)
    errors = [
        float(jnp.linalg.norm(causal_regularization(jnp.asarray(y), jnp.asarray(x), jnp.asarray(shifted), a) - f))
        for a in (0.0, 1.0, 1e6)
    ]
    assert errors[2] < 0.15 < errors[1] < errors[0]
    chosen = kania_wit(
        jax.random.key(0), jnp.asarray(y), jnp.asarray(x), jnp.asarray(shifted), jnp.array([0.0, 0.5, 1.0])
    )
    assert float(jnp.linalg.norm(chosen.coef - f)) <= errors[0]
    assert float(chosen.penalty) in (0.0, 0.5, 1.0)
