"""Population closed forms against large samples, and the paper's theorems with the corrected equality condition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.data import draw_linear, sample_linear_sem
from causalrep.iv import erm, ivl, ivl_path
from causalrep.iv.ivl.population import augmentation_helps, confounding_vector, population_error, treatment_covariance
from causalrep.metrics import causal_excess_risk, normalized_excess_risk

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize("cyclic", [False, True])
def test_large_samples_approach_the_closed_form(cyclic):
    sem = sample_linear_sem(jax.random.key(0), treatments=6, confounders=6, cyclic=cyclic)
    kappa, gamma, sigma = 0.7, 1.3, 0.5
    s = draw_linear(jax.random.key(1), sem, n=400_000, kappa=kappa, gamma=gamma, sigma=sigma)
    covariance = treatment_covariance(sem, kappa=kappa, sigma=sigma)
    v = confounding_vector(sem, kappa=kappa, sigma=sigma)
    np.testing.assert_allclose(s.x.T @ s.x / len(s.y), covariance, atol=0.02 * float(jnp.max(covariance)))
    path = ivl_path(s.y, s.gx, s.g)
    for h, strength, alpha in [
        (erm(ivl_path(s.y, s.x, s.g)), 0.0, jnp.inf),
        (erm(path), gamma, jnp.inf),
        (ivl(path, 0.2), gamma, 0.2),
    ]:
        expected = population_error(covariance, v, sem.gamma, strength=strength, alpha=alpha)
        np.testing.assert_allclose(h - sem.f, expected, atol=0.02 * float(jnp.linalg.norm(expected) + 0.1))


def test_penalty_is_a_stronger_augmentation():
    sem = sample_linear_sem(jax.random.key(2), treatments=5, confounders=5)
    covariance, v = treatment_covariance(sem), confounding_vector(sem)
    penalized = population_error(covariance, v, sem.gamma, strength=0.8, alpha=0.3)
    stronger = population_error(covariance, v, sem.gamma, strength=0.8 * np.sqrt(1 + 1 / 0.3))
    np.testing.assert_allclose(penalized, stronger, rtol=1e-10)


def test_risk_never_increases_in_the_covariance_norm():
    """Theorems 2 and 3 and Corollary 2, over random models, strengths and penalties."""

    def risks(key):
        sem_key, strength_key, alpha_key = jax.random.split(key, 3)
        sem = sample_linear_sem(sem_key, treatments=5, confounders=5, keep=0.5)
        covariance, v = treatment_covariance(sem), confounding_vector(sem)
        strength = jnp.exp(2 * jax.random.normal(strength_key))
        alpha = jnp.exp(3 * jax.random.normal(alpha_key))
        errors = [
            population_error(covariance, v, sem.gamma, strength=g, alpha=a)
            for g, a in [(0.0, jnp.inf), (strength, jnp.inf), (strength, alpha)]
        ]
        zero = jnp.zeros_like(v)
        return (
            jnp.stack([causal_excess_risk(e, zero, covariance) for e in errors]),
            jnp.stack([causal_excess_risk(e, zero) for e in errors]),
        )

    in_sigma, euclidean = jax.vmap(risks)(jax.random.split(jax.random.key(0), 500))
    assert bool(jnp.all(jnp.diff(in_sigma, axis=1) <= 1e-10 * in_sigma[:, :1]))
    # Negative control: in the Euclidean norm, which the figures use, the theorem does not hold.
    assert bool(jnp.any(euclidean[:, 1] > 1.01 * euclidean[:, 0]))


def test_equality_condition_as_corrected():
    """The counterexample to the printed condition, and a case where the corrected one gives equality."""
    covariance, gamma = jnp.array([[2.0, 1.0], [1.0, 2.0]]), jnp.array([[0.0, 1.0]])
    v = jnp.array([1.0, 0.0])
    assert float((gamma @ v)[0]) == 0.0, "the printed condition for equality is met"
    before = causal_excess_risk(population_error(covariance, v, gamma, strength=0.0), jnp.zeros(2), covariance)
    after = causal_excess_risk(population_error(covariance, v, gamma), jnp.zeros(2), covariance)
    assert float(before) == pytest.approx(2 / 3)
    assert float(after) == pytest.approx(0.56)
    assert bool(augmentation_helps(covariance, v, gamma))

    v = covariance @ jnp.array([1.0, 0.0])  # ERM's error is orthogonal to the augmentation
    assert float((gamma @ v)[0]) != 0.0, "the printed condition is not met"
    assert not bool(augmentation_helps(covariance, v, gamma))
    for alpha in (jnp.inf, 1.0, 1e-3):
        error = population_error(covariance, v, gamma, alpha=alpha)
        np.testing.assert_allclose(error, [1.0, 0.0], atol=1e-12)


def test_random_models_give_the_cards_expectations():
    """Euclidean nCER over 600 random models of the paper's size: .431, .074, and .050 at alpha = 1 (paper card)."""

    def errors(key):
        sem = sample_linear_sem(key)
        covariance, v = treatment_covariance(sem), confounding_vector(sem)
        return jnp.stack(
            [
                normalized_excess_risk(sem.f + population_error(covariance, v, sem.gamma, strength=g, alpha=a), sem.f)
                for g, a in [(0.0, jnp.inf), (1.0, jnp.inf), (1.0, 1.0), (1.0, 0.1), (1.0, 0.01)]
            ]
        )

    result = np.asarray(jax.vmap(errors)(jax.random.split(jax.random.key(7), 600)))
    mean, se = result.mean(axis=0), result.std(axis=0) / np.sqrt(600)
    expected = np.array([0.431, 0.074, 0.050, 0.016, 0.0026])
    # Both sides are Monte Carlo means of the same size; the last digit of the card's numbers is rounding.
    assert (np.abs(mean - expected) < 4 * np.sqrt(2) * se + 0.0006).all(), mean
