"""Ridge paths and ridge two-stage least squares beside scikit-learn and the formulas."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from causalrep.iv.nonlinear import two_stage_ridge
from causalrep.iv.nonlinear.ridge import best_candidate, ridge_coefficients, ridge_path

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize("shape", [(50, 6), (5, 8)])
@pytest.mark.parametrize("penalty", [1e-3, 1.0, 100.0])
def test_the_path_is_scikit_learns_at_every_penalty(shape, penalty):
    rng = np.random.default_rng(0)
    features, targets = rng.normal(size=shape), rng.normal(size=(shape[0], 2))
    expected = Ridge(alpha=penalty, fit_intercept=False, solver="svd").fit(features, targets).coef_.T
    path = ridge_path(jnp.asarray(features), jnp.asarray(targets))
    np.testing.assert_allclose(ridge_coefficients(path, penalty), expected, atol=1e-9)


def test_no_penalty_gives_the_least_norm_solution():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 3)) @ rng.normal(size=(3, 5))
    targets = rng.normal(size=(30, 1))
    path = ridge_path(jnp.asarray(features), jnp.asarray(targets))
    np.testing.assert_allclose(ridge_coefficients(path, 0.0), np.linalg.pinv(features) @ targets, atol=1e-9)


def test_every_candidate_is_solved_and_scored_on_the_other_half():
    rng = np.random.default_rng(1)
    phi, psi = [rng.normal(size=(2, 40, d)) for d in (3, 4)]
    y = rng.normal(size=(2, 40))
    first, second = np.array([1e-3, 1e-1, 10.0]), np.array([1e-2, 1.0])
    halves = [tuple(jnp.asarray(half) for half in block) for block in (phi, psi, y)]
    result = two_stage_ridge(*halves, jnp.asarray(first), jnp.asarray(second))

    def stage(features, targets, penalty):
        return np.linalg.solve(features.T @ features + penalty * np.eye(features.shape[1]), features.T @ targets)

    losses = [np.mean(np.sum((phi[1] - psi[1] @ stage(psi[0], phi[0], 40 * lam)) ** 2, axis=1)) for lam in first]
    np.testing.assert_allclose(result.first_losses, losses, rtol=1e-9)
    fitted = psi[1] @ stage(psi[0], phi[0], 40 * first[np.argmin(losses)])
    coefficients = [stage(fitted, y[1], 40 * xi) for xi in second]
    scores = [np.mean((y[0] - phi[0] @ coef) ** 2) for coef in coefficients]
    np.testing.assert_allclose(result.second_losses, scores, rtol=1e-9)
    np.testing.assert_allclose(result.coef, coefficients[np.argmin(scores)], rtol=1e-9)


def test_a_candidate_that_failed_never_wins():
    assert int(best_candidate(jnp.array([jnp.nan, 2.0, 1.0, jnp.inf]))) == 2
