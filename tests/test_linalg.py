"""Factorisations against NumPy's, and what they become on a TPU."""

import jax
import jax.numpy as jnp
import numpy as np

from causalrep.linalg import eigh, pinv_psd_solve


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
