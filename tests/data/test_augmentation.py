"""Augmentations: what they keep, what they change, and the parameters that they report."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.preprocessing import PolynomialFeatures

from causalrep.data import (
    compose,
    gaussian_noise,
    polynomial_features,
    random_flip,
    random_permutation,
    translate,
)

KEY = jax.random.key(0)


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(4000, 5)) * [1, 2, 3, 4, 5]


def test_permutation_keeps_the_values_of_rows_and_reports_the_order(x64, x):
    gx, g = random_permutation()(KEY, jnp.asarray(x))
    np.testing.assert_array_equal(np.sort(gx, axis=1), np.sort(x, axis=1))
    assert np.mean(np.any(np.asarray(gx) != x, axis=1)) > 0.95
    # G is standardized within rows; undoing this gives the permutation that was applied.
    np.testing.assert_allclose(g.mean(axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose(g.std(axis=1), 1.0, atol=1e-12)
    order = np.rint(np.asarray(g) * np.std(np.arange(5)) + 2).astype(int)
    np.testing.assert_array_equal(np.take_along_axis(x, order, axis=1), gx)
    # Every column goes to every place equally often.
    counts = np.stack([np.bincount(column, minlength=5) for column in order.T])
    assert np.abs(counts / len(x) - 0.2).max() < 0.03


@pytest.mark.parametrize("probability", [0.5, 0.2])
def test_flip_applies_its_permutation_where_its_parameter_says(x64, x, probability):
    order = [4, 3, 2, 1, 0]
    gx, g = random_flip(order, probability)(KEY, jnp.asarray(x))
    flipped = np.asarray(g)[:, 0] > 0
    np.testing.assert_array_equal(np.asarray(gx)[flipped], x[flipped][:, order])
    np.testing.assert_array_equal(np.asarray(gx)[~flipped], x[~flipped])
    assert flipped.mean() == pytest.approx(probability, abs=0.03)
    assert float(g.mean()) == pytest.approx(0.0, abs=0.06)
    assert float(g.std()) == pytest.approx(1.0, abs=0.06)


def test_flip_refuses_a_list_that_is_not_a_permutation():
    with pytest.raises(ValueError, match=r"^permutation: found \[0, 0, 1\]; expected each of 0..2 once"):
        random_flip([0, 0, 1])


def test_noise_is_its_parameter_scaled(x64, x):
    gx, g = gaussian_noise(0.25)(KEY, jnp.asarray(x))
    np.testing.assert_allclose(gx - x, 0.5 * x.std() * g, atol=1e-12)
    np.testing.assert_allclose(g.mean(axis=0), 0.0, atol=0.07)
    np.testing.assert_allclose(g.std(axis=0), 1.0, atol=0.05)


def test_translation_stays_in_its_directions(x64, x):
    directions = jnp.array([[1.0, -1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0, -2.0]])
    gx, g = translate(directions, 3.0)(KEY, jnp.asarray(x))
    assert g.shape == (4000, 2)
    np.testing.assert_allclose(gx - x, 3.0 * g @ directions, atol=1e-12)
    np.testing.assert_allclose((gx - x) @ jnp.ones(5), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.cov(g.T), np.eye(2), atol=0.08)


def test_compose_applies_in_order_and_concatenates(x64, x):
    x = jnp.asarray(x)
    first, second = random_flip([1, 0, 2, 3, 4]), gaussian_noise()
    gx, g = compose(first, second)(KEY, x)
    halfway = first(jax.random.fold_in(KEY, 0), x)
    end = second(jax.random.fold_in(KEY, 1), halfway.gx)
    np.testing.assert_array_equal(gx, end.gx)
    np.testing.assert_array_equal(g, jnp.concatenate([halfway.g, end.g], axis=1))
    assert abs(float(jnp.corrcoef(g[:, 0], g[:, 1])[0, 1])) < 0.06


def test_augmentations_are_functions_of_their_key_under_jit_and_vmap(x64, x):
    x = jnp.asarray(x[:50])
    augment = compose(random_permutation(), gaussian_noise(), random_flip([4, 3, 2, 1, 0]))
    keys = jax.random.split(KEY, 3)
    together = jax.jit(jax.vmap(augment, in_axes=(0, None)))(keys, x)
    for i, key in enumerate(keys):
        chex.assert_trees_all_close(jax.tree.map(lambda leaf, i=i: leaf[i], together), augment(key, x), atol=1e-12)
    assert not np.allclose(together.g[0], together.g[1])


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_polynomials_equal_those_of_scikit_learn(x64, x, degree):
    expected = PolynomialFeatures(degree, include_bias=False).fit_transform(x)
    np.testing.assert_allclose(polynomial_features(jnp.asarray(x), degree), expected, rtol=1e-12)
