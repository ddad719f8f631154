"""Simulations with a hidden confounder: their distributions, and IHDP with the mother's age hidden."""

import jax
import numpy as np
import pytest

from causalrep.data import draw_ihdp_hidden, hidden_confounder, ihdp_hidden, load, noisy_copies
from causalrep.errors import DataError


@pytest.mark.parametrize("latent", ["two_point", "gaussian"])
def test_the_average_effect_is_two_and_u_is_independent_of_x(x64, latent):
    s = hidden_confounder(jax.random.key(0), n=200_000, latent=latent)
    np.testing.assert_allclose((s.mu1 - s.mu0).mean(), 2.0, atol=0.01)
    assert np.abs(np.corrcoef(np.column_stack([s.x, s.u]).T)[-1, :-1]).max() < 0.01
    np.testing.assert_allclose(s.u.var(), 1.0, atol=0.02)
    residual = s.y - np.where(s.t == 1, s.mu1, s.mu0)
    np.testing.assert_allclose(residual.std(), 0.5, atol=0.005)
    assert abs(np.corrcoef(residual, s.y_other - np.where(s.t == 1, s.mu0, s.mu1))[0, 1]) < 0.01
    naive = s.y[s.t == 1].mean() - s.y[s.t == 0].mean()
    # The card's anchors, 5.84 and 5.43.
    np.testing.assert_allclose(naive, {"two_point": 5.84, "gaussian": 5.43}[latent], atol=0.1)


def test_selection_by_a_probit_is_heckmans(x64):
    s = hidden_confounder(jax.random.key(0), n=200_000, latent="gaussian", treatment="probit", excluded=1.0)
    index = 0.8 * s.x[:, 0] - 0.6 * s.x[:, 1] + s.x[:, 2]
    expected = jax.scipy.stats.norm.cdf(index / np.sqrt(1 + 1.5**2))
    top = index > 1.5
    np.testing.assert_allclose(s.t[top].mean(), expected[top].mean(), atol=0.01)


def test_without_effect_on_the_outcome_nothing_is_confounded(x64):
    s = hidden_confounder(jax.random.key(0), n=100_000, strength=0.0)
    assert abs(np.corrcoef(s.y - np.where(s.t == 1, s.mu1, s.mu0), s.t)[0, 1]) < 0.01


def test_noisy_copies(x64):
    s = noisy_copies(jax.random.key(0), n=100_000)
    np.testing.assert_allclose((s.x == s.u[:, None]).mean(), 0.75, atol=0.005)
    np.testing.assert_allclose(s.t[s.u == 1].mean(), 0.8, atol=0.01)


def test_ihdp_with_the_mothers_age_hidden(x64):
    try:
        plain = load("ihdp", replications=[1])
    except DataError as error:
        pytest.skip(str(error))
    d = ihdp_hidden([1, 2])
    assert d.x.shape == (747, 24)
    np.testing.assert_array_equal(d.u, plain.x[:, plain.covariates.index("momage")])
    x = np.column_stack([np.ones(747), d.x])
    residual = d.u - x @ np.linalg.lstsq(x, d.u, rcond=None)[0]
    np.testing.assert_allclose(1 - residual.var() / d.u.var(), 0.485, atol=5e-4)
    s = draw_ihdp_hidden(jax.random.key(0), d.x, d.u, d.propensity, d.mu0[1], d.linear[1])
    np.testing.assert_allclose((s.mu1 - s.mu0)[s.t == 1].mean(), 4.0, atol=1e-9)
    # Only the coefficient of the age differs from the replication's own surfaces.
    known = load("ihdp", replications=[2])
    gap = np.log(d.mu0[1]) - np.log(known.mu0[0])
    np.testing.assert_allclose(gap, (d.u + 0.5) * np.polyfit(d.u + 0.5, gap, 1)[0], atol=1e-9)
