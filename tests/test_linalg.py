"""Factorisations against NumPy's, and what they become on a TPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.linalg import (
    centered_kernel,
    eigh,
    hsic_statistic,
    min_norm_solve,
    pinv_psd_solve,
    squared_distances,
    svd,
)
from causalrep.linalg.solvers import _svd_by_polar


def test_eigenvectors_of_a_batch_and_their_gradients(x64):
    a = jax.random.normal(jax.random.key(0), (3, 6, 6))
    a = a @ a.swapaxes(1, 2)
    values, vectors = jax.vmap(eigh)(a)
    np.testing.assert_allclose(values, np.linalg.eigh(a)[0], rtol=1e-10)
    np.testing.assert_allclose(vectors * values[:, None] @ vectors.swapaxes(1, 2), a, atol=1e-10)
    gradient = jax.grad(lambda a: eigh(a)[0][-1])(a[0])
    np.testing.assert_allclose(gradient, np.outer(vectors[0, :, -1], vectors[0, :, -1]), atol=1e-10)


def test_the_minimum_norm_solution_is_that_of_the_pseudoinverse(x64):
    root, b = jax.random.normal(jax.random.key(1), (5, 3)), jnp.arange(5.0)
    np.testing.assert_allclose(pinv_psd_solve(root @ root.T, b), np.linalg.pinv(root @ root.T) @ b, atol=1e-9)


def test_on_a_tpu_large_matrices_are_one_kernel():
    def program(f):
        shape = jax.ShapeDtypeStruct((300, 300), jnp.float32)
        return jax.export.export(jax.jit(f), platforms=["tpu"])(shape).mlir_module()

    assert "qdwh" in program(jnp.linalg.eigh).lower()
    ours = program(eigh)
    assert "qdwh" not in ours.lower()
    assert "Eigh" in ours
    # One polar decomposition, and no recursion of them.
    assert "Eigh" in program(svd)
    assert len(program(svd)) < 0.5 * len(program(jnp.linalg.svd))


@pytest.mark.parametrize("shape", [(300, 300), (300, 420), (420, 300)])
def test_singular_values_by_the_polar_decomposition_are_as_accurate_as_lapack(shape):
    """What a TPU runs: all but the directions of no length, of a matrix of rank 280."""
    a = jax.random.normal(jax.random.key(2), (shape[0], 280)) @ jax.random.normal(jax.random.key(3), (280, shape[1]))
    u, s, vt = jax.jit(_svd_by_polar)(a)
    truth = np.linalg.svd(np.asarray(a, np.float64), compute_uv=False)
    assert (u.shape, vt.shape) == ((shape[0], 300), (300, shape[1]))
    np.testing.assert_allclose(s, truth, atol=1e-6 * truth[0])
    np.testing.assert_allclose((u * s) @ vt, a, atol=1e-6 * truth[0])
    for q in (u[:, :280], vt.T):
        np.testing.assert_allclose(q.T @ q, np.eye(q.shape[1]), atol=1e-5)


def test_large_solutions_have_gradients():
    """Reverse mode cannot follow the iterations of a polar decomposition; it is not asked to."""
    a, b = jax.random.normal(jax.random.key(4), (300, 300)), jnp.ones(300)
    gradient = jax.jit(jax.grad(lambda b: b @ svd(a * b)[2].T @ jnp.ones(300)))(b)
    assert bool(jnp.isfinite(gradient).all())
    slope = jax.grad(lambda b: jnp.sum(min_norm_solve(a, b)))(b)
    np.testing.assert_allclose(slope, np.linalg.solve(np.asarray(a, np.float64).T, np.ones(300)), atol=1e-2)


def test_centered_kernels_and_their_inner_product_are_the_matrix_formulas(x64):
    x, y = jax.random.normal(jax.random.key(5), (8, 2)), jax.random.normal(jax.random.key(6), (8, 1))
    np.testing.assert_allclose(squared_distances(x, x)[0, 1], np.sum(np.square(x[0] - x[1])), rtol=1e-12)
    k, l = (np.exp(-np.asarray(squared_distances(a, a))) for a in (x, y))  # noqa: E741
    h = np.eye(8) - 1 / 8
    np.testing.assert_allclose(centered_kernel(k), h @ k @ h, atol=1e-12)
    value = hsic_statistic(centered_kernel(k), centered_kernel(l), 8)
    assert float(value) == pytest.approx(np.trace(k @ h @ l @ h) / 64, rel=1e-10)
    # A row that does not count is as good as absent.
    used = jnp.arange(8) < 7
    np.testing.assert_allclose(centered_kernel(k, used * 1.0)[:7, :7], centered_kernel(k[:7, :7]), atol=1e-12)
