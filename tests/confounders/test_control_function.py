"""Heckman's two steps: the probit against statsmodels, the effect against simulations, and a negative control."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.confounders import ControlFunction, control_function, two_point_em
from causalrep.data import hidden_confounder
from causalrep.effects import LeastSquares, meta
from causalrep.errors import IdentificationWarning, InputError
from causalrep.linalg import probit_regression


def test_probit_equals_statsmodels(x64):
    statsmodels = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(500), rng.normal(size=(500, 3))])
    t = (x @ [0.3, 1.0, -0.5, 0.0] + rng.normal(size=500) > 0).astype(float)
    peer = statsmodels.Probit(t, x).fit(disp=0, tol=1e-12)
    np.testing.assert_allclose(probit_regression(x, t, np.full(500, 1 / 500))[0], peer.params, atol=1e-9)
    # Weights are repetitions of rows.
    twice = rng.integers(0, 3, 500)
    peer = statsmodels.Probit(np.repeat(t, twice), np.repeat(x, twice, axis=0)).fit(disp=0, tol=1e-12)
    np.testing.assert_allclose(probit_regression(x, t, twice / twice.sum())[0], peer.params, atol=1e-9)


def test_second_step_equals_statsmodels(x64):
    statsmodels = pytest.importorskip("statsmodels.api")
    s = hidden_confounder(jax.random.key(0), n=400, latent="gaussian", treatment="probit", excluded=1.0)
    x, t, y = (np.asarray(a) for a in (s.x, s.t, s.y))
    result = control_function(x, t, y)
    residual = np.asarray(statsmodels.Probit(t, statsmodels.add_constant(x)).fit(disp=0, tol=1e-12).resid_generalized)
    np.testing.assert_allclose(result.residual, residual, atol=1e-8)
    peer = statsmodels.OLS(y, np.column_stack([np.ones(400), x, t, t[:, None] * x, residual])).fit().params
    np.testing.assert_allclose(result.effect(x), peer[6] + x @ peer[7:12], atol=1e-7)
    np.testing.assert_allclose(result.selection, peer[12], atol=1e-7)


def test_the_exclusion_is_used_and_without_it_there_is_a_warning():
    s = hidden_confounder(jax.random.key(3), n=4000, latent="gaussian", treatment="probit", excluded=1.0)
    x, t, y = (np.asarray(a) for a in (s.x, s.t, s.y))
    model = ControlFunction(draws=100).fit(y, t, X=x[:, [0, 1, 3, 4]], Z=x[:, 2])
    low, high = model.ate_interval()
    # Without U the error is about 4; the standard error with the exclusion is about .24.
    assert low < 2 < high
    assert 0.1 < model.ate_.se < 0.5
    assert "exclusion" in str(model.summary())
    with pytest.warns(IdentificationWarning, match="shape of the normal"):
        weaker = ControlFunction(draws=100).fit(y, t, X=x)
    assert weaker.ate_.se > 2 * model.ate_.se
    assert weaker.effect(x[:2]).shape == (2,)


def test_bad_input():
    x, t = np.random.default_rng(0).normal(size=(50, 2)), np.arange(50) % 2
    with pytest.raises(InputError, match="draws"):
        ControlFunction(draws=0).fit(x[:, 0], t, X=x)
    with pytest.raises(InputError, match="draws: found 1"):
        ControlFunction(draws=1).fit(x[:, 0], t, X=x)
    with pytest.raises(InputError, match=r"Z: found 49 rows"):
        ControlFunction().fit(x[:, 0], t, X=x, Z=x[1:, 0])
    # Neither moves the treatment beside X: "identified by the exclusion of Z" would be untrue.
    for z in (np.ones(50), 2 * x[:, 0] - x[:, 1] + 3):
        with pytest.raises(InputError, match="that X determines"):
            ControlFunction().fit(x[:, 0], t, X=x, Z=z)
    with pytest.raises(InputError, match="T: found a treatment that X separates"):
        ControlFunction(draws=2).fit(x[:, 1] + t, x[:, 0] > 0, X=x)


def _error(s, z):
    rows = meta.EffectRows(z, z, s.t, s.y, jnp.ones(len(z)), jnp.zeros(len(z), int))
    learner = meta.T(LeastSquares())
    error = learner.predict(learner.fit(rows), z) - (s.mu1 - s.mu0)
    return float(error.mean()), float(jnp.sqrt(jnp.mean(error**2)))


def test_em_recovers_a_two_point_confounder_and_never_lowers_the_likelihood(x64):
    s = hidden_confounder(jax.random.key(0))
    result = jax.jit(two_point_em, static_argnames="iterations")(s.x, s.t, s.y, iterations=20)
    bias, pehe = _error(s, jnp.column_stack([s.x, result.mean]))
    assert abs(bias) < 0.1
    assert pehe < 0.1
    assert _error(s, s.x)[0] > 3
    assert np.corrcoef(result.mean, s.u)[0, 1] > 0.99
    assert np.diff(result.log_likelihood).min() > -1e-9
