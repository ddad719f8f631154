"""Monte Carlo: the size of the tests where Wald's fails, negative controls, power."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.iv import System
from causalrep.iv.weak.statistics import anderson_rubin_statistic, clr_statistic, lm_statistic, lr_statistic
from causalrep.linalg import orthonormal_basis

REPLICATIONS, N, K = 2000, 500, 5
BAND = 0.015  # three Monte Carlo standard errors of 0.05 with 2,000 replications


def draw(key, strength, spread):
    """The weak-instrument design (b = 1), with scaled errors or with shocks that pairs of rows share."""
    keys = jax.random.split(key, 3)
    z = jax.random.normal(keys[0], (N, K))
    noise = jax.random.normal(keys[1], (N, 2))
    u, v = noise[:, 0], 0.9 * noise[:, 0] + np.sqrt(1 - 0.9**2) * noise[:, 1]
    if spread == "heteroskedastic":
        scale = jnp.abs(z[:, 0]) * 1.5
        u, v = u * scale, v * scale
    elif spread == "clustered":
        z = jnp.repeat(z[: N // 2], 2, axis=0)
        shared = jnp.repeat(jax.random.normal(keys[2], (N // 2,)), 2)
        u, v = u + 1.5 * shared, v + 1.5 * shared
    x = strength * z.sum(axis=1) + v
    return x + u, x[:, None], z


def wald_p_value(y, x, z):
    q = orthonormal_basis(z)
    fitted = q @ (q.T @ x[:, 0])
    b = fitted @ y / (fitted @ fitted)
    e = y - x[:, 0] * b
    t = (b - 1) * jnp.sqrt(fitted @ fitted / (e @ e / (N - 1)))
    return 2 * jax.scipy.stats.norm.sf(jnp.abs(t))


@partial(jax.jit, static_argnames="spread")
def _rejections(keys, strength, beta, spread):
    clusters = jnp.arange(N) // 2

    def one(key):
        y, x, z = draw(key, strength, spread)
        system = System(y, x, z, clusters=clusters)
        out = {"wald": wald_p_value(y, x, z)}
        for test in (anderson_rubin_statistic, lm_statistic, lr_statistic, clr_statistic):
            out[test.__name__] = test(system, beta).p_value
        if spread != "homoskedastic":
            covariance = "HC1" if spread == "heteroskedastic" else "cluster"
            for test in (anderson_rubin_statistic, lm_statistic, clr_statistic):
                p_value = test(system, beta, covariance=covariance).p_value
                out["robust_" + test.__name__] = p_value
        return out

    return {name: jnp.mean(p < 0.05) for name, p in jax.vmap(one)(keys).items()}


def rejections(strength, spread="homoskedastic", beta=1.0):
    keys = jax.random.split(jax.random.key(20), REPLICATIONS)
    return {name: float(rate) for name, rate in _rejections(keys, strength, beta, spread).items()}


@pytest.mark.parametrize("strength", [0.03, 0.1, 0.3])
def test_size_with_weak_instruments(x64, strength):
    rates = rejections(strength)
    for name in ("anderson_rubin_statistic", "lm_statistic", "clr_statistic"):
        assert abs(rates[name] - 0.05) < BAND, rates
    # What the robust tests are for: at .03 Wald rejects the truth most of the time, and LR is wrong as well.
    expected = {0.03: 0.682, 0.1: 0.177, 0.3: 0.062}[strength]
    assert abs(rates["wald"] - expected) < 0.035, rates
    if strength == 0.03:
        assert rates["wald"] > 0.5
        assert rates["lr_statistic"] > 0.1


@pytest.mark.parametrize("spread", ["heteroskedastic", "clustered"])
def test_robust_size_where_homoskedastic_tests_fail(x64, spread):
    rates = rejections(0.1, spread)
    for name in ("anderson_rubin_statistic", "lm_statistic", "clr_statistic"):
        assert abs(rates["robust_" + name] - 0.05) < 0.025, rates
        assert rates[name] > 0.09, rates  # the negative control


def test_power_with_strong_overidentifying_instruments(x64):
    rates = rejections(0.3, beta=1.12)
    assert rates["clr_statistic"] > rates["anderson_rubin_statistic"] + 0.05, rates
    assert rates["anderson_rubin_statistic"] > 0.2, rates
