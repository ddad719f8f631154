"""R^2 of latents given codes, whole and by blocks, against scikit-learn and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from causalrep.metrics import block_r2, chance_level, diag_sep, r2

pytestmark = pytest.mark.usefixtures("x64")


def test_linear_r2_equals_scikit_learn():
    z = jax.random.normal(jax.random.key(0), (300, 3))
    codes = jnp.tanh(z @ jax.random.normal(jax.random.key(1), (3, 4))) + 2.0
    model = LinearRegression().fit(codes[::2], z[::2])
    wanted = r2_score(z[1::2], model.predict(codes[1::2]), multioutput="raw_values")
    np.testing.assert_allclose(r2(z, codes), wanted, atol=1e-10)


def test_kernel_r2_sees_what_a_line_does_not():
    z = jax.random.uniform(jax.random.key(0), (300, 2), minval=-1.0)
    codes = jnp.column_stack([jnp.sinh(3 * z[:, 0]), z[:, 0] ** 2 + jnp.exp(2 * z[:, 1])])
    line, kernel = r2(z, codes), r2(z, codes, "kernel")
    assert float(line.max()) < 0.97
    assert float(kernel.min()) > 0.99
    # The same kernel ridge by scikit-learn, at the best of the penalties: within what the choice of penalty allows.
    scaled = (codes - codes[::2].mean(axis=0)) / codes[::2].std(axis=0)
    fit, new = np.array(scaled[::2]), np.array(scaled[1::2])
    distances = ((fit[:, None] - fit) ** 2).sum(axis=2)
    gamma = 1 / np.median(distances[np.triu_indices(len(fit), 1)])
    center = np.array(z[::2]).mean(axis=0)
    scores = [
        r2_score(
            z[1::2],
            KernelRidge(alpha=alpha, kernel="rbf", gamma=gamma).fit(fit, z[::2] - center).predict(new) + center,
            multioutput="raw_values",
        )
        for alpha in (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
    ]
    np.testing.assert_allclose(kernel, np.max(scores, axis=0), atol=2e-3)


def test_held_out_rows_show_that_noise_tells_nothing():
    z, noise = jax.random.normal(jax.random.key(0), (2, 200, 3))
    for regressor in ("linear", "kernel"):
        scores = r2(z, noise, regressor)
        assert float(jnp.max(scores)) < 0.1
        assert float(jnp.min(scores)) > -0.2
    # A random rotation, on the other hand, keeps all there is: R^2 is no evidence of disentanglement.
    assert float(jnp.min(chance_level(r2, jax.random.key(1), z, draws=3).mean)) == pytest.approx(1.0)


def test_blocks_and_their_leakage():
    z = jax.random.normal(jax.random.key(0), (1000, 4))
    rotate = jnp.array([[0.6, 0.8], [-0.8, 0.6]])
    codes = jnp.column_stack([z[:, 2:] @ rotate, z[:, :2] @ rotate])
    matrix = block_r2(z, codes, [[0, 1], [2, 3]], [[2, 3], [0, 1]])
    np.testing.assert_allclose(matrix, np.eye(2), atol=0.03)
    result = diag_sep(jnp.array([[0.9, 0.1, 0.3], [0.0, 0.8, 0.2], [0.5, 0.4, 1.0]]))
    assert float(result.diag) == pytest.approx(0.9)
    assert float(result.sep) == pytest.approx((0.3 + 0.2 + 0.5) / 3)
