"""The closed forms of IV-like regression against their definitions, their limits and independent packages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ivmodels.models import AnchorRegression as IvmodelsAnchor

from causalrep.iv import constrained_ivl, erm, ivl, ivl_path, k_class, min_norm_iv, projected_ivl
from causalrep.iv.ivl.path import transformed_regression

pytestmark = pytest.mark.usefixtures("x64")

ALPHAS = (1e-5, 1e-2, 1.0, 1e3)


def problem(seed, n=300, m=6, k=4, rank=None):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k))
    u = rng.normal(size=n)
    x = z @ rng.normal(size=(k, m)) + u[:, None] + rng.normal(size=(n, m))
    if rank is not None:
        x = x[:, :rank] @ rng.normal(size=(rank, m))
    return x @ rng.normal(size=m) + 3 * u + rng.normal(size=n), x, z


def definition(y, x, z, alpha):
    """h = M^+ r with the n x n projection, as the paper writes it."""
    p = z @ np.linalg.pinv(z)
    m = alpha * x.T @ x + x.T @ p @ x
    return np.linalg.pinv(m, rcond=1e-12, hermitian=True) @ (alpha * x.T @ y + x.T @ p @ y)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("k", "rank"), [(4, None), (9, None), (4, 3)], ids=["under", "over", "rank-deficient"])
def test_is_the_minimiser_as_defined(alpha, k, rank):
    y, x, z = problem(0, k=k, rank=rank)
    np.testing.assert_allclose(ivl(ivl_path(y, x, z), alpha), definition(y, x, z, alpha), rtol=1e-8, atol=1e-10)


def test_equals_anchor_regression_and_the_k_class():
    y, x, z = problem(1)
    path = ivl_path(y, x, z)
    for alpha in ALPHAS:
        ours = np.asarray(ivl(path, alpha))
        kappa = k_class(jnp.asarray(y), jnp.asarray(x), jnp.asarray(z), kappa=1 / (1 + alpha)).coef
        np.testing.assert_allclose(ours, kappa, rtol=1e-10, atol=1e-10)
    gamma = 1 + 1 / 0.37
    peer = IvmodelsAnchor(gamma=gamma, fit_intercept=False).fit(Z=z, X=x, y=y).coef_
    np.testing.assert_allclose(ivl(path, 0.37), np.ravel(peer), rtol=1e-9)


def test_is_least_squares_on_transformed_data():
    y, x, z = problem(2)
    for alpha in ALPHAS:
        y_new, x_new = transformed_regression(y, x, z, alpha)
        h = np.linalg.lstsq(x_new, y_new, rcond=None)[0]
        np.testing.assert_allclose(ivl(ivl_path(y, x, z), alpha), h, rtol=1e-9)


def test_ends_of_the_path():
    y, x, z = problem(3, k=4)
    path = ivl_path(y, x, z)
    np.testing.assert_allclose(erm(path), np.linalg.lstsq(x, y, rcond=None)[0], rtol=1e-10)
    np.testing.assert_allclose(ivl(path, 1e12), erm(path), rtol=1e-9)
    np.testing.assert_allclose(ivl(path, 1e-9), constrained_ivl(path), rtol=1e-5)
    overidentified = ivl_path(*problem(3, k=9))
    np.testing.assert_allclose(constrained_ivl(overidentified), min_norm_iv(overidentified), rtol=1e-9)


def test_constrained_limit_solves_its_own_programme():
    """Equality-constrained least squares, by the KKT system."""
    y, x, z = problem(4, k=3)
    p = z @ np.linalg.pinv(z)
    a, b = x.T @ p @ x, x.T @ p @ y
    u = np.linalg.svd(a)[0]
    rows = u[:, :3].T
    kkt = np.block([[x.T @ x, (rows @ a).T], [rows @ a, np.zeros((3, 3))]])
    h = np.linalg.solve(kkt, np.concatenate([x.T @ y, rows @ b]))[: x.shape[1]]
    np.testing.assert_allclose(constrained_ivl(ivl_path(y, x, z)), h, rtol=1e-8)


def test_projected_variant_is_the_nearest_feasible_point():
    y, x, z = problem(5, k=3)
    path = ivl_path(y, x, z)
    h, start = np.asarray(projected_ivl(path)), np.asarray(erm(path))
    first_stage, reduced_form = np.asarray(path.first_stage), np.asarray(path.reduced_form)
    np.testing.assert_allclose(first_stage @ h, reduced_form, rtol=1e-9, atol=1e-9)
    # The step from ERM is orthogonal to the null space of the constraint: no shorter step reaches it.
    null = np.linalg.svd(first_stage)[2][3:]
    np.testing.assert_allclose(null @ (h - start), 0.0, atol=1e-9)
    # Another feasible point, the minimum-norm one, is farther from ERM.
    assert np.linalg.norm(h - start) < np.linalg.norm(np.asarray(min_norm_iv(path)) - start)


def test_depends_on_instruments_through_their_span_alone():
    y, x, z = problem(6)
    rotated = np.column_stack([z @ np.random.default_rng(1).normal(size=(4, 4)), z[:, 0], np.zeros(len(y))])
    np.testing.assert_allclose(ivl(ivl_path(y, x, rotated), 0.1), ivl(ivl_path(y, x, z), 0.1), rtol=1e-9)


def test_weights_leave_rows_out():
    y, x, z = problem(7)
    keep = np.arange(len(y)) % 3 > 0
    masked = ivl(ivl_path(y, x, z, weights=jnp.asarray(keep, float)), 0.1)
    np.testing.assert_allclose(masked, ivl(ivl_path(y[keep], x[keep], z[keep]), 0.1), rtol=1e-9)


def test_transformations():
    """jit, vmap over data and over alpha, and their nesting."""
    batch = [jnp.stack(parts) for parts in zip(*(problem(seed) for seed in range(4)), strict=True)]

    def fit(y, x, z):
        return ivl(ivl_path(y, x, z), jnp.array([0.1, 1.0]))

    loop = jnp.stack([fit(*(part[i] for part in batch)) for i in range(4)])
    np.testing.assert_allclose(jax.jit(jax.vmap(fit))(*batch), loop, rtol=1e-10)
    nested = [part.reshape(2, 2, *part.shape[1:]) for part in batch]
    np.testing.assert_allclose(jax.vmap(jax.vmap(fit))(*nested).reshape(loop.shape), loop, rtol=1e-10)


def test_derivative_through_the_k_class():
    y, x, z = map(jnp.asarray, problem(8))
    jacobian = jax.jacobian(lambda y: k_class(y, x, z, kappa=1 / 1.5).coef)(y)
    p = z @ np.linalg.pinv(z)
    expected = np.linalg.solve(0.5 * x.T @ x + x.T @ p @ x, 0.5 * x.T + x.T @ p)
    np.testing.assert_allclose(jacobian, expected, rtol=1e-7, atol=1e-12)
