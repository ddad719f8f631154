"""PULSE against ivmodels and its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ivmodels.models import PULSE as IvmodelsPULSE
from ivmodels.tests import pulse_test

from causalrep.iv import ols, pulse, two_stage_least_squares

pytestmark = pytest.mark.usefixtures("x64")


def draw(seed, n=400, strength=0.6, invalid=0.0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 4))
    u = rng.normal(size=n)
    x = strength * z[:, :2] + u[:, None] + rng.normal(size=(n, 2))
    return x @ [1.0, -1.0] + 2 * u + rng.normal(size=n) + invalid * z[:, 3], x, z, np.ones((n, 1))


def test_against_ivmodels():
    for seed in range(3):
        y, x, z, c = draw(seed)
        fit = pulse(y, x, z, c)
        there = IvmodelsPULSE(rtol=1e-11).fit(x, y, z)
        assert bool(fit.feasible)
        np.testing.assert_allclose(fit.fit.kappa, there.kappa_, rtol=1e-8)
        np.testing.assert_allclose(fit.fit.coef[:2], there.coef_, rtol=1e-8)
        np.testing.assert_allclose(fit.p_value, 0.05, rtol=1e-8)
        np.testing.assert_allclose(fit.p_value, pulse_test(z, x, y, np.asarray(fit.fit.coef[:2]))[1], rtol=1e-8)
        assert np.isnan(fit.fit.cov).all()


def test_ends_of_the_path():
    rng = np.random.default_rng(0)
    y, x, z, c = draw(0)
    exogenous = x @ [1.0, -1.0] + rng.normal(size=len(y))
    fit = pulse(exogenous, x, z, c)
    assert float(fit.fit.kappa) == 0.0
    np.testing.assert_allclose(fit.fit.coef, ols(exogenous, x, c).coef, rtol=1e-9)
    y, x, z, c = draw(0, invalid=2.0)
    fit = pulse(y, x, z, c)
    assert not bool(fit.feasible)
    np.testing.assert_allclose(fit.fit.coef, two_stage_least_squares(y, x, z, c).coef, rtol=1e-9)


def test_transforms():
    data = tuple(jnp.stack(part) for part in zip(*(draw(seed) for seed in range(4))))
    batched = jax.jit(jax.vmap(pulse))(*data)
    twice = jax.vmap(jax.vmap(pulse))(*(a.reshape(2, 2, *a.shape[1:]) for a in data))
    for i in range(4):
        one = pulse(*(a[i] for a in data))
        np.testing.assert_allclose(batched.fit.coef[i], one.fit.coef, rtol=1e-9)
        np.testing.assert_allclose(twice.fit.coef[i // 2, i % 2], one.fit.coef, rtol=1e-9)
