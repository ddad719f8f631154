"""The simulations with instruments have the moments and satisfy the equations in their docstrings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.data import draw_linear, linear_iv, sample_linear_sem
from causalrep.iv.ivl.population import confounding_vector, treatment_covariance


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_linear_iv_moments(x64, rho):
    n, k, strength, effect = 400_000, 3, 0.5, 2.0
    y, x, z = linear_iv(jax.random.key(1), n=n, instruments=k, strength=strength, endogeneity=rho, effect=effect)
    x = x[:, 0]
    u = y - effect * x
    moments = {
        "var x": (jnp.mean(x**2), k * strength**2 + 1),
        "cov zx": (jnp.mean(z[:, 1] * x), strength),
        "cov zu": (jnp.mean(z[:, 0] * u), 0.0),
        "cov xu": (jnp.mean(x * u), rho),
        "var u": (jnp.mean(u**2), 1.0),
        "ols": ((x @ y) / (x @ x), effect + rho / (k * strength**2 + 1)),
    }
    for name, (moment, expected) in moments.items():
        assert float(moment) == pytest.approx(expected, abs=6 * 2 / np.sqrt(n)), name


def test_heteroskedastic_errors_depend_on_the_instrument_only_in_scale(x64):
    shared = {"n": 200_000, "instruments": 2, "strength": 1.0, "endogeneity": 0.5, "effect": 0.0}
    y, _, z = linear_iv(jax.random.key(2), heteroskedastic=True, **shared)
    plain = linear_iv(jax.random.key(2), **shared)
    np.testing.assert_allclose(y, plain.y * jnp.abs(z[:, 0]))
    # E[z^2 u^2 z^2] = E[z^4] = 3: the robust variance of a moment is three times the homoskedastic one.
    assert float(jnp.mean((z[:, 0] * y) ** 2)) == pytest.approx(3.0, abs=0.15)
    assert abs(float(jnp.mean(z[:, 0] * y))) < 0.03


@pytest.mark.parametrize("cyclic", [False, True])
def test_augmentation_directions_are_an_orthonormal_basis_of_the_null_space(x64, cyclic):
    sem = sample_linear_sem(jax.random.key(3), treatments=7, confounders=4, cyclic=cyclic)
    assert sem.gamma.shape == (6, 7)
    np.testing.assert_allclose(sem.gamma @ sem.gamma.T, np.eye(6), atol=1e-12)
    np.testing.assert_allclose(sem.gamma @ sem.f, 0.0, atol=1e-12)
    if cyclic:
        np.testing.assert_allclose([jnp.linalg.norm(sem.f), jnp.linalg.norm(sem.tau)], 1.0)
    else:
        assert not sem.tau.any()


def test_a_partial_null_space_keeps_at_least_one_direction(x64):
    def kept(key):
        gamma = sample_linear_sem(key, treatments=4, keep=1 / 3).gamma
        norms = jnp.linalg.norm(gamma, axis=1)
        return norms

    norms = jax.vmap(kept)(jax.random.split(jax.random.key(4), 2000))
    assert bool(jnp.all((norms > 0.999) | (norms == 0.0)))
    counts = jnp.sum(norms > 0, axis=1)
    assert int(counts.min()) == 1
    # Binomial(3, 1/3) given that it is not zero has mean 1 / (1 - 8/27) = 27/19.
    assert float(counts.mean()) == pytest.approx(27 / 19, abs=0.06)


@pytest.mark.parametrize("cyclic", [False, True])
def test_draws_solve_both_structural_equations(x64, cyclic):
    kappa, sigma, n = 0.7, 0.1, 50
    sem = sample_linear_sem(jax.random.key(5), treatments=5, confounders=3, cyclic=cyclic)
    key = jax.random.key(6)
    x, y, gx, g = draw_linear(key, sem, n=n, kappa=kappa, gamma=2.0, sigma=sigma)
    c_key, x_key, y_key, _ = jax.random.split(key, 4)
    c = jax.random.normal(c_key, (n, 3))
    noise_x, noise_y = jax.random.normal(x_key, (n, 5)), jax.random.normal(y_key, (n,))
    np.testing.assert_allclose(x, kappa * jnp.outer(y, sem.tau) + c @ sem.t + sigma * noise_x, atol=1e-10)
    np.testing.assert_allclose(y, x @ sem.f + kappa * c @ sem.eps + sigma * noise_y, atol=1e-10)
    # The augmentation moves x along Gamma, which is orthogonal to f, so that f^T x is invariant.
    np.testing.assert_allclose(gx - x, 2.0 * g @ sem.gamma, atol=1e-12)
    np.testing.assert_allclose((gx - x) @ sem.f, 0.0, atol=1e-12)


def test_omitted_directions_have_no_parameter(x64):
    sem = sample_linear_sem(jax.random.key(7), treatments=6, keep=0.5)
    g = draw_linear(jax.random.key(8), sem, n=20).g
    used = jnp.any(sem.gamma != 0, axis=1)
    assert 0 < int(used.sum()) < 5
    np.testing.assert_array_equal(jnp.all(g == 0, axis=0), ~used)


@pytest.mark.parametrize("cyclic", [False, True])
def test_samples_have_the_moments_of_the_population(x64, cyclic):
    kappa, n = 0.5, 200_000
    sem = sample_linear_sem(jax.random.key(9), treatments=4, confounders=5, cyclic=cyclic)
    x, y, _, _ = draw_linear(jax.random.key(10), sem, n=n, kappa=kappa)
    covariance = treatment_covariance(sem, kappa=kappa)
    scale = float(jnp.max(jnp.diagonal(covariance)))
    np.testing.assert_allclose(x.T @ x / n, covariance, atol=0.02 * scale)
    confounding = confounding_vector(sem, kappa=kappa)
    np.testing.assert_allclose(x.T @ (y - x @ sem.f) / n, confounding, atol=0.02 * scale)
    assert float(jnp.linalg.norm(confounding)) > 0.2
