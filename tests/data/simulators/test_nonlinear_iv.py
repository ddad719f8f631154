"""Nonlinear simulations have the moments of their formulas, valid instruments, and confounded treatments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.data import agmm_zoo, demand, newey_powell, sine, zoo
from causalrep.data.simulators.iv.nonlinear import ZOO_FUNCTIONS, demand_function

KEY = jax.random.key(0)


def error(sample, f):
    """The outcome less the structural function."""
    return np.asarray(sample.y) - np.asarray(f(sample.t[:, 0]))


@pytest.mark.parametrize(
    ("draw", "f", "sd"),
    [
        (lambda: newey_powell(KEY, n=20000), lambda x: jnp.log(jnp.abs(16 * x - 8) + 1) * jnp.sign(x - 0.5), 1.0),
        (lambda: newey_powell(KEY, n=20000, function="CC"), lambda x: 4 * x - 2, 1.0),
        (lambda: zoo(KEY, n=20000, function="linear"), lambda x: x, np.sqrt(25.5)),
        (lambda: agmm_zoo(KEY, n=20000, function="sin"), jnp.sin, np.sqrt(4.01)),
        (lambda: sine(KEY, n=20000), lambda x: jnp.sin(x) / np.sqrt(1.5), np.sqrt(1.01 / 1.5)),
    ],
    ids=["NP", "CC", "zoo", "agmm", "sine"],
)
def test_the_error_is_free_of_the_instruments_and_not_of_the_treatment(draw, f, sd):
    s = draw()
    e = error(s, f)
    assert np.std(e) == pytest.approx(sd, rel=0.03)
    for z in np.asarray(s.z).T:
        for moment in (z, z**2, np.abs(z)):
            assert abs(np.corrcoef(moment, e)[0, 1]) < 0.025
    assert np.corrcoef(s.t[:, 0], e)[0, 1] > 0.25
    assert s.test_t.shape == (*s.test_f.shape, 1)
    np.testing.assert_allclose(s.test_f, f(s.test_t[:, 0]), atol=1e-5)


def test_newey_powell_lives_on_the_unit_interval():
    s = newey_powell(KEY, n=5000)
    for values in (s.t, s.z):
        np.testing.assert_allclose(np.quantile(values, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.03)
    assert np.corrcoef(s.t[:, 0], s.z[:, 0])[0, 1] == pytest.approx(0.69, abs=0.03)


def test_regression_on_the_linear_zoo_has_slope_two_and_two_thirds():
    s = zoo(KEY, n=40000, function="linear")
    assert np.polyfit(s.t[:, 0], s.y, 1)[0] == pytest.approx(8 / 3, abs=0.03)


def test_every_zoo_function_at_known_points():
    x = jnp.array([-1.0, 0.0, 2.0])
    known = {
        "abs": [1, 0, 2],
        "sin": [-0.841471, 0, 0.909297],
        "step": [1, 2.5, 2.5],
        "linear": [-1, 0, 2],
        "2dpoly": [2.4, 0, 0.6],
        "3dpoly": [1.4, 0, 8.6],
        "sigmoid": [0.238406, 1, 1.964028],
    }
    assert set(known) == set(ZOO_FUNCTIONS)
    for name, values in known.items():
        np.testing.assert_allclose(ZOO_FUNCTIONS[name](x), values, atol=1e-5)


@pytest.mark.parametrize("noise", [1.0, 10.0])
def test_demand(noise):
    s = demand(KEY, n=20000, rho=0.5, noise=noise)
    e = np.asarray(s.y) - np.asarray(demand_function(s.t[:, 0], *s.x.T))
    assert np.std(e) == pytest.approx(noise, rel=0.03)
    t, kind = np.asarray(s.x).T
    assert set(kind) == set(range(1, 8))
    psi = 2 * ((t - 5) ** 4 / 600 + np.exp(-4 * (t - 5) ** 2) + t / 10 - 2)
    v = np.asarray(s.t[:, 0]) - 25 - (np.asarray(s.z[:, 0]) + 3) * psi
    assert np.std(v) == pytest.approx(noise, rel=0.03)
    assert np.corrcoef(v, e)[0, 1] == pytest.approx(0.5, abs=0.03)
    assert len(s.test_f) == 2800
    assert s.test_x.shape == (2800, 2)
    assert float(s.test_f[0]) == pytest.approx(demand_by_hand(10.0, 0.0, 1.0), rel=1e-5)


def demand_by_hand(p, t, s):
    psi = 2 * ((t - 5) ** 4 / 600 + np.exp(-4 * (t - 5) ** 2) + t / 10 - 2)
    return 100 + (10 + p) * s * psi - 2 * p


def test_the_caution_about_demand_is_true():
    # The error is a negligible part of the outcome, so confounding hardly matters.
    s = demand(KEY, n=20000, rho=0.9)
    e = np.asarray(s.y) - np.asarray(demand_function(s.t[:, 0], *s.x.T))
    assert np.var(e) < 1e-3 * np.var(s.y)
    # With ten times the noise it is still small, but the instrument becomes weak.
    scaled = demand(KEY, n=20000, rho=0.9, noise=10.0)
    e = np.asarray(scaled.y) - np.asarray(demand_function(scaled.t[:, 0], *scaled.x.T))
    assert 1e-3 * np.var(scaled.y) < np.var(e) < 1e-2 * np.var(scaled.y)
