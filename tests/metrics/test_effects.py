"""Scores of effects, against numbers worked out by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.metrics import ate_error, att_error, coverage, interval_width, pehe, policy_risk, randomized_att

pytestmark = pytest.mark.usefixtures("x64")


def test_pehe_and_ate_error():
    effect, truth = jnp.array([1.0, 3.0, 5.0]), jnp.array([1.0, 2.0, 9.0])
    assert float(pehe(effect, truth)) == pytest.approx(np.sqrt((0 + 1 + 16) / 3))
    assert float(ate_error(effect, truth)) == pytest.approx(1.0)
    inside = jnp.array([1.0, 1.0, 0.0])
    assert float(pehe(effect, truth, inside)) == pytest.approx(np.sqrt(0.5))
    assert float(ate_error(effect, truth, inside)) == pytest.approx(0.5)
    # What is outside may be anything.
    assert float(pehe(effect.at[2].set(jnp.nan), truth, inside)) == pytest.approx(np.sqrt(0.5))


def test_the_effect_on_the_treated_uses_randomized_controls_alone():
    y = jnp.array([1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    t = jnp.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    randomized = jnp.array([1.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    assert float(randomized_att(y, t, randomized)) == pytest.approx(0.5 - 0.5)
    assert float(randomized_att(y, t, jnp.ones(6))) == pytest.approx(0.5 - 0.75)
    effect = jnp.array([0.2, 0.4, 9.0, 9.0, 9.0, 9.0])
    assert float(att_error(effect, y, t, randomized)) == pytest.approx(0.3)


def test_policy_risk_by_hand():
    # Four randomised units in each cell of policy x treatment, and one unit outside the experiment.
    y = jnp.array([1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0])
    t = jnp.array([1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    effect = jnp.array([1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 0.0, 1.0])
    randomized = jnp.arange(9) < 8
    # Half get treated: E[y | pi=1, t=1] = 1, E[y | pi=0, t=0] = 1/2.
    assert float(policy_risk(effect, y, t, randomized)) == pytest.approx(1 - (0.5 * 1 + 0.5 * 0.5))
    assert float(policy_risk(jnp.ones(9), y, t, randomized)) == pytest.approx(0.5)
    # An empty cell counts zero.
    assert float(policy_risk(jnp.ones(9), y, jnp.zeros(9))) == 1.0


def test_coverage_and_width():
    low, high = jnp.array([0.0, 0.0, 0.0]), jnp.array([1.0, 2.0, jnp.inf])
    assert float(coverage(low, high, jnp.array([1.0, 2.5, 100.0]))) == pytest.approx(2 / 3)
    assert float(interval_width(low, high, jnp.array([1, 1, 0]))) == pytest.approx(1.5)
