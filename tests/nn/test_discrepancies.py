"""Distances between samples: closed forms, brute force, exact transport in one dimension, and empty samples."""

from functools import partial

import jax
import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from causalrep.nn import discrepancies

# One program for each function and shape: without jit, every operation would be compiled by itself.
linear_mmd = jax.jit(discrepancies.linear_mmd)
rbf_mmd = jax.jit(discrepancies.rbf_mmd, static_argnames="bandwidth")
sinkhorn_wasserstein = jax.jit(discrepancies.sinkhorn_wasserstein)
ALL = (linear_mmd, rbf_mmd, sinkhorn_wasserstein)


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 3)), rng.normal(0.5, 1.0, size=(9, 3))


def ones(*arrays):
    return [np.ones(len(array)) for array in arrays]


def test_linear_mmd_is_the_distance_of_the_means(samples):
    x, y = samples
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2)
    assert float(linear_mmd(x, y, *ones(x, y))) == pytest.approx(expected, rel=1e-5)


def test_rbf_mmd_is_the_unbiased_estimator(samples):
    x, y = samples

    def mean_kernel(a, b, *, same):
        pairs = [(p, q) for i, p in enumerate(a) for j, q in enumerate(b) if not (same and i == j)]
        return np.mean([np.exp(-np.sum((p - q) ** 2) / 2.0**2) for p, q in pairs])

    expected = mean_kernel(x, x, same=True) + mean_kernel(y, y, same=True) - 2 * mean_kernel(x, y, same=False)
    assert float(rbf_mmd(x, y, *ones(x, y), bandwidth=2.0)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("distance", ALL)
def test_a_weight_of_zero_leaves_a_row_out(samples, distance):
    x, y = samples
    both, in_x = np.concatenate([x, y]), np.repeat([1.0, 0.0], [len(x), len(y)])
    masked = distance(both, both, in_x, 1 - in_x)
    assert float(masked) == pytest.approx(float(distance(x, y, *ones(x, y))), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("distance", ALL)
def test_an_empty_sample_has_no_distance_and_no_nan(samples, distance):
    x, y = samples
    with_gradient = jax.jit(jax.value_and_grad(distance))
    for weights in ((np.zeros(len(x)), np.ones(len(y))), (np.zeros(len(x)), np.zeros(len(y)))):
        value, gradient = with_gradient(x, y, *weights)
        assert float(value) == 0.0
        assert np.isfinite(gradient).all()
    # All rows alike: no distance, no spread, and a square root at zero.
    value, gradient = with_gradient(np.ones(x.shape), np.ones(y.shape), *ones(x, y))
    assert float(value) == pytest.approx(0.0, abs=1e-3)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("distance", [linear_mmd, partial(rbf_mmd, bandwidth=2.0), sinkhorn_wasserstein])
def test_grows_with_a_shift_of_the_mean(samples, distance):
    x, _ = samples
    values = [float(distance(x, x + shift, *ones(x, x))) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert (np.diff(values) > 0.05).all()


def test_sharp_sinkhorn_is_zero_for_identical_samples():
    x = np.linspace(-1, 1, 20)[:, None]
    # Eager, here and below: jit would unroll the many iterations into one very long program.
    sharp = partial(discrepancies.sinkhorn_wasserstein, sharpness=200.0, iterations=200)
    assert float(sharp(x, x, *ones(x, x))) < 1e-3


def test_sharp_sinkhorn_is_the_exact_distance_in_one_dimension(x64):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=40), rng.normal(1.5, 0.5, size=30)
    distance = partial(discrepancies.sinkhorn_wasserstein, x[:, None], y[:, None], *ones(x, y))
    result = distance(sharpness=100.0, iterations=1000)
    assert float(result) == pytest.approx(wasserstein_distance(x, y), rel=0.05)
    # The negative control: so few iterations at so little sharpness blur the plan.
    assert float(distance(sharpness=1.0)) > 1.1 * float(result)
