"""Closed-form posteriors against Bayes' rule on a grid, and the control function against simulation."""

import jax
import numpy as np
import pytest
from scipy import stats

from causalrep.confounders.closed_forms import affine_posterior, inverse_mills
from causalrep.linalg import generalized_residual


def test_affine_posterior_is_the_conditional_of_a_joint_normal(x64):
    rng = np.random.default_rng(0)
    n, k = 4, 3
    loc, variance, slopes = rng.normal(size=(n, k)), rng.uniform(0.2, 2, (n, k)), rng.normal(size=(n, k))
    residual, scale = rng.normal(size=n), rng.uniform(0.3, 1, n)
    mean, covariance = affine_posterior(loc, variance, residual, slopes, scale)
    for i in range(n):
        # The card's formula, with the inverse spelled out.
        precision = np.diag(1 / variance[i]) + np.outer(slopes[i], slopes[i]) / scale[i] ** 2
        expected = np.linalg.inv(precision)
        np.testing.assert_allclose(covariance[i], expected, atol=1e-12)
        shift = loc[i] / variance[i] + slopes[i] * residual[i] / scale[i] ** 2
        np.testing.assert_allclose(mean[i], expected @ shift, atol=1e-12)


@pytest.mark.parametrize("t", [0.0, 1.0])
def test_inverse_mills_is_the_posterior_mean_by_quadrature(x64, t):
    grid = np.linspace(-10, 10, 20001)
    for index, slope in ((0.3, 1.5), (-2.0, 0.7), (4.0, -1.5)):
        p = stats.norm.cdf(index + slope * grid)
        weight = stats.norm.pdf(grid) * (p if t else 1 - p)
        result = inverse_mills(np.array([index]), slope, np.array([t]))
        np.testing.assert_allclose(result[0], np.sum(grid * weight) / np.sum(weight), atol=1e-7)


def test_residual_and_gradient_are_finite_in_the_tails(x64):
    index = np.array([-30.0, 30.0])
    for t in (np.zeros(2), np.ones(2)):
        assert np.isfinite(generalized_residual(index, t)).all()
        assert np.isfinite(jax.grad(lambda a, t=t: generalized_residual(a, t).sum())(index)).all()
