"""The simulations of causal representation learning: moments, interventions, mixings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.data import (
    buchholz_simulation,
    cauca_simulation,
    one_per_latent,
    segments_simulation,
    squires_model,
    varici_model,
)
from causalrep.data.simulators.latent.environments import edge_signals
from causalrep.data.simulators.latent.mixings import leaky_mixing, mlp_mixing, orthogonal_columns, tanh_mixing
from causalrep.metrics import varsortability


def test_rows_have_the_moments_of_the_model(x64):
    model = squires_model(jax.random.key(0))
    rows = model.draw(jax.random.key(1), 200_000)
    mean, covariance = model.moments()
    for e in range(len(mean)):
        sample = np.cov(rows.x[e].T, bias=True)
        np.testing.assert_allclose(sample, covariance[e], atol=0.02 * np.abs(covariance[e]).max())
    np.testing.assert_allclose(rows.x @ model.unmixing.T, rows.z, atol=1e-9)
    np.testing.assert_allclose(mean, 0.0, atol=1e-12)


@pytest.mark.parametrize("hard", [True, False])
def test_an_intervention_changes_one_mechanism(x64, hard):
    model = varici_model(jax.random.key(3), hard=hard).interventions
    changed = np.any(np.asarray(model.maps[1:] != model.maps[0]), axis=2)
    np.testing.assert_array_equal(changed, np.eye(5, dtype=bool))
    assert np.asarray(model.targets).tolist() == [-1, 0, 1, 2, 3, 4]
    weights = np.eye(5) - np.asarray(model.maps) / np.diagonal(model.maps, axis1=1, axis2=2)[:, :, None]
    for i in range(5):
        np.testing.assert_allclose(weights[i + 1, i], (0.0 if hard else 0.5) * weights[0, i], atol=1e-12)
    scale = np.diagonal(model.maps, axis1=1, axis2=2)
    np.testing.assert_allclose((scale[0] / scale[np.arange(1, 6), np.arange(5)]) ** 2, 5.0)


def test_scores_change_only_in_the_target_and_its_parents(x64):
    model = varici_model(jax.random.key(4)).interventions
    signals = np.asarray(edge_signals(model))
    np.testing.assert_array_equal(signals > 1e-12, np.asarray(model.graph) | np.eye(5, dtype=bool))
    strong = varici_model(jax.random.key(4), least_signal=0.02).interventions
    assert np.asarray(edge_signals(strong))[np.asarray(strong.graph)].min() >= 0.02


def test_varsortability_of_a_growing_and_a_shrinking_chain(x64):
    weights = jnp.array([[0.0, 0.0], [0.8, 0.0]])
    growing = one_per_latent(jnp.eye(2) - weights, jnp.eye(2))
    shrinking = one_per_latent((jnp.eye(2) - weights) * jnp.array([[1.0], [4.0]]), jnp.eye(2))
    assert float(varsortability(growing.graph, jnp.diagonal(growing.covariances()[0]))) == 1.0
    assert float(varsortability(shrinking.graph, jnp.diagonal(shrinking.covariances()[0]))) == 0.0


def test_shifted_interventions_move_the_means_of_descendants(x64):
    data = cauca_simulation(jax.random.key(2), n=50_000)
    expected = np.asarray(data.interventions.latent_means())
    np.testing.assert_allclose(np.mean(data.rows.z, axis=1), expected, atol=0.05)
    np.testing.assert_allclose(expected[np.arange(1, 5), np.arange(4)], 2.0, atol=1e-12)
    still = buchholz_simulation(jax.random.key(2), n=10, shifted=False)
    np.testing.assert_array_equal(still.interventions.means, 0.0)
    moved = buchholz_simulation(jax.random.key(2), n=10, nonlinear=True)
    assert np.all(np.any(np.asarray(moved.interventions.means[1:]) != 0, axis=1))
    assert moved.rows.x.shape == (6, 10, 100)


def test_segments_scale_laplace_sources():
    rows = segments_simulation(jax.random.key(0), n=20_000, segments=3)
    assert rows.x.shape == rows.z.shape == (3, 20_000, 5)
    spread = np.std(rows.z, axis=1)
    assert np.all(spread < np.sqrt(2.0) * 1.05)
    assert np.std(spread, axis=0).min() > 0.01, "scales must differ between segments"
    kurtosis = np.mean(np.asarray(rows.z) ** 4, axis=1) / spread**4
    np.testing.assert_allclose(kurtosis, 6.0, atol=1.2)


@pytest.mark.parametrize("draw", [lambda key: tanh_mixing(key, 4, 3), lambda key: leaky_mixing(key, 4, 2)])
def test_square_mixings_are_injective(x64, draw):
    z = jax.random.normal(jax.random.key(1), (200, 4))
    for seed in range(5):
        mix = draw(jax.random.key(seed))
        sign, _ = np.linalg.slogdet(jax.vmap(jax.jacobian(mix))(z))
        assert abs(sign.sum()) == len(z), "the determinant must not change its sign"


def test_perceptrons_and_matrices_keep_the_dimension(x64):
    z = jax.random.normal(jax.random.key(1), (50, 3))
    jacobian = jax.vmap(jax.jacobian(mlp_mixing(jax.random.key(0), 3, 20, hidden=32)))(z)
    assert np.linalg.matrix_rank(jacobian).min() == 3
    g = np.asarray(orthogonal_columns(jax.random.key(0), 25, 5))
    np.testing.assert_allclose(np.abs(g).max(axis=0), 1.0)
    assert np.linalg.matrix_rank(g) == 5
