"""The wild cluster bootstrap: each draw against a sample refitted in full, its size, its interval."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from causalrep import inference
from causalrep.inference import Covariance, wild_cluster_interval
from causalrep.inference.wild_bootstrap import cluster_weights
from causalrep.iv import ols, two_stage_least_squares

pytestmark = pytest.mark.usefixtures("x64")
N, GROUPS, NULL = 200, 9, 0.7
# One program for each choice and shape: without jit, every operation would be compiled by itself.
wild_cluster_bootstrap = jax.jit(
    inference.wild_cluster_bootstrap, static_argnums=6, static_argnames=("index", "draws", "weights")
)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(7)
    groups = rng.permutation(np.arange(N) % GROUPS)
    c = np.column_stack([rng.normal(size=N), np.ones(N)])
    z = rng.normal(size=(N, 3))
    u = rng.normal(size=N) + rng.normal(size=GROUPS)[groups]
    x = np.column_stack([z @ [0.5, 0.5, 0.5] + u + rng.normal(size=N), 0.5 * z[:, 0] + rng.normal(size=N)])
    return x @ [1.0, 0.5] + c @ [1.0, 1.0] + u, x, z, c, groups


@jax.jit
def refit(y, x, z, c, groups):
    covariance = Covariance("cluster", clusters=groups, n_clusters=GROUPS)
    if z is None:
        return ols(y, x, c, covariance=covariance)
    return two_stage_least_squares(y, x, z, c, covariance=covariance)


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("instruments", [True, False])
def test_draws_are_refitted_samples(data, instruments, index):
    y, x, z, c, groups = data
    z = z if instruments else None
    key = jax.random.key(3)
    result = wild_cluster_bootstrap(key, y, x, z, c, groups, GROUPS, null=NULL, index=index, draws=8, weights="webb")
    fit = jax.device_get(refit(y, x, z, c, groups))
    np.testing.assert_allclose(result.statistic, (fit.coef[index] - NULL) / np.sqrt(fit.cov[index, index]), rtol=1e-9)

    # The restricted fit, by the textbook: impose b_j = NULL.
    outcome, others = y - NULL * x[:, index], np.delete(x, index, axis=1)
    restricted = jax.device_get(refit(outcome, others, z if instruments else None, c, groups))
    e = restricted.residuals
    structure = outcome - others @ restricted.coef[:1] - e
    fitted, v = x, np.zeros_like(x)
    if instruments:
        w = np.column_stack([c, z])
        first = np.linalg.lstsq(np.column_stack([w, e]), x, rcond=None)[0][:-1]
        fitted, v = w @ first, x - w @ first
    weights = np.asarray(cluster_weights(key, 8, GROUPS, "webb"))[:, groups]
    draws = np.asarray(result.draws)
    for draw, weight in enumerate(weights):
        x_star = fitted + v * weight[:, None]
        b = np.insert(restricted.coef[:1], index, NULL)
        star = jax.device_get(refit(x_star @ b + structure + e * weight, x_star, z, c, groups))
        expected = (star.coef[index] - NULL) / np.sqrt(star.cov[index, index])
        np.testing.assert_allclose(draws[draw], expected, rtol=1e-7)


@pytest.mark.parametrize("weights", ["rademacher", "webb"])
def test_weights(weights):
    w = np.asarray(cluster_weights(jax.random.key(0), 20000, 4, weights))
    np.testing.assert_allclose(w.mean(), 0, atol=0.02)
    np.testing.assert_allclose((w**2).mean(), 1, atol=0.02)
    assert len(np.unique(w)) == {"rademacher": 2, "webb": 6}[weights]
    with pytest.raises(ValueError, match="normal"):
        cluster_weights(jax.random.key(0), 10, 4, "normal")


def test_interval_inverts_the_test(data):
    y, x, z, c, groups = data
    fit = jax.device_get(refit(y, x, z, c, groups))
    key = jax.random.key(1)
    scale = {"estimate": fit.coef[0], "stderr": np.sqrt(fit.cov[0, 0])}
    lower, upper = jax.jit(lambda key: wild_cluster_interval(key, y, x, z, c, groups, GROUPS, draws=199, **scale))(key)

    @jax.jit
    def p_value(null):
        return wild_cluster_bootstrap(key, y, x, z, c, groups, GROUPS, null=null, draws=199).p_value

    width = float(upper - lower)
    for end, outwards in ((float(lower), -1), (float(upper), 1)):
        assert p_value(end - outwards * 1e-4 * width) > 0.05
        assert p_value(end + outwards * 1e-4 * width) <= 0.05
    assert lower < 1.0 < upper


def test_interval_is_unbounded_when_instruments_say_nothing():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(60, 1)), rng.normal(size=(60, 1))
    groups = np.arange(60) % 6
    y = x[:, 0] + rng.normal(size=60)

    @jax.jit
    def interval(key):
        return wild_cluster_interval(
            key, y, x, z, jnp.ones((60, 1)), groups, 6, estimate=1.0, stderr=1.0, draws=99, weights="webb"
        )

    lower, upper = interval(jax.random.key(0))
    assert np.isinf(lower) or np.isinf(upper)


def rejections(instruments, groups, simulations=1000, per_group=12):
    """Shares of true nulls rejected at 5% by the bootstrap and by the cluster t test."""
    n = groups * per_group
    codes = jnp.arange(n) % groups

    def one(key):
        keys = jax.random.split(key, 6)
        # Clusters of very unequal treatment: where the asymptotic test is worst.
        common = jnp.exp(jax.random.normal(keys[0], (groups,)))[codes]
        z = (common + 0.5 * jax.random.normal(keys[1], (n,)))[:, None]
        u = jax.random.normal(keys[2], (groups,))[codes] + 0.5 * jax.random.normal(keys[3], (n,))
        x = z + (0.5 * u + jax.random.normal(keys[4], (n,)))[:, None] if instruments else z
        y = x[:, 0] + u
        c = jnp.ones((n, 1))
        covariance = Covariance("cluster", clusters=codes, n_clusters=groups)
        z = z if instruments else None
        fit = ols(y, x, c, covariance=covariance) if z is None else None
        fit = two_stage_least_squares(y, x, z, c, covariance=covariance) if fit is None else fit
        t = jnp.abs(fit.coef[0] - 1.0) / jnp.sqrt(fit.cov[0, 0])
        result = wild_cluster_bootstrap(keys[5], y, x, z, c, codes, groups, null=1.0, draws=199, weights="webb")
        return result.p_value <= 0.05, t > stats.t(groups - 1).isf(0.025)

    keys = jax.random.split(jax.random.key(5), simulations)
    boot, plain = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=100))(keys)
    return float(boot.mean()), float(plain.mean())


@pytest.mark.parametrize("instruments", [False, True])
def test_size_with_few_clusters(instruments):
    boot, plain = rejections(instruments, groups=8)
    print(boot, plain)
    assert boot == pytest.approx(0.05, abs=0.03)
    assert plain > boot + 0.05


def test_power():
    # A test that never rejects would pass the size check.
    rng = np.random.default_rng(2)
    groups = np.arange(200) % 10
    z = rng.normal(size=(200, 1))
    u = rng.normal(size=200)
    x = z + u[:, None]
    result = wild_cluster_bootstrap(jax.random.key(0), x[:, 0] + u, x, z, np.ones((200, 1)), groups, 10, draws=199)
    assert float(result.p_value) < 0.02


def test_vmap(data):
    y, x, z, c, groups = data
    nulls = np.array([0.0, 0.7, 1.0, 2.0])
    key = jax.random.key(0)

    def p(null):
        return wild_cluster_bootstrap(key, y, x, z, c, groups, GROUPS, null=null, draws=99).p_value

    one = jax.jit(p)
    loop = [float(one(null)) for null in nulls]
    np.testing.assert_allclose(jax.jit(jax.vmap(p))(nulls), loop)
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.vmap(p)))(nulls.reshape(2, 2)).reshape(-1), loop)
