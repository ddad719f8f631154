"""KIV, kernel ridge and kernel MMR: the papers' formulas, scikit-learn, and what instruments must change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge

from causalrep.data import newey_powell
from causalrep.iv.nonlinear import (
    default_penalties,
    kernel_iv,
    kernel_mmr,
    kernel_predict,
    kernel_ridge,
    moment_risk,
    nystroem_kernel_iv,
    nystroem_kernel_mmr,
    nystroem_kernel_ridge,
)
from causalrep.iv.nonlinear.kernels import gaussian_kernel, median_lengthscale, nystroem, nystroem_features

pytestmark = pytest.mark.usefixtures("x64")
FIRST, SECOND = jnp.logspace(-4, 0, 4), jnp.logspace(-3, 0, 3)


def sample(n=60, seed=0):
    """A confounded sample with one control in both blocks: y, x, z."""
    rng = np.random.default_rng(seed)
    z, c, u = rng.normal(size=(3, n))
    t = z + 0.5 * c + u
    return tuple(map(jnp.asarray, (np.sin(t) + c + u, np.column_stack([t, c]), np.column_stack([z, c]))))


def paper_kiv(y, x, z, x_scale, z_scale, lam, xi):
    """Algorithm 1 as printed: returns both losses and the function on the second half."""
    n = len(y) // 2
    m = len(y) - n
    k = lambda a, b, s: np.asarray(gaussian_kernel(a, b, s))  # noqa: E731
    k_xx, k_x2, k_22 = k(x[:n], x[:n], x_scale), k(x[:n], x[n:], x_scale), k(x[n:], x[n:], x_scale)
    g = np.linalg.solve(k(z[:n], z[:n], z_scale) + n * lam * np.eye(n), k(z[:n], z[n:], z_scale))
    first = np.trace(k_22 - 2 * k_x2.T @ g + g.T @ k_xx @ g) / m
    w = k_xx @ g
    alpha = np.linalg.lstsq(w @ w.T + m * xi * k_xx, w @ np.asarray(y[n:]), rcond=1e-14)[0]
    return first, np.mean((np.asarray(y[:n]) - k_xx @ alpha) ** 2), k_x2.T @ alpha


def test_the_kernel_is_scikit_learns():
    _, x, z = sample()
    scale = jnp.array([0.7, 2.0])
    np.testing.assert_allclose(gaussian_kernel(x, z, scale), RBF(np.asarray(scale))(x, z), atol=1e-12)


def test_median_distance_of_many_and_of_few_values():
    x = np.random.default_rng(0).normal(size=(101, 1))
    apart = np.abs(x - x.T)[np.triu_indices(101, 1)]
    assert median_lengthscale(jnp.asarray(x))[0] == pytest.approx(np.median(apart))
    rare = np.zeros((100, 2))
    rare[:5, 0] = 3.0
    np.testing.assert_allclose(median_lengthscale(jnp.asarray(rare)), [3.0, 1.0])


def test_every_candidate_is_the_papers_algorithm():
    y, x, z = sample()
    fit = kernel_iv(y, x, z, FIRST, SECOND)
    scales = fit.lengthscale, median_lengthscale(z)
    first = [paper_kiv(y, x, z, *scales, lam, 0.1)[0] for lam in FIRST]
    np.testing.assert_allclose(fit.losses[0], first, rtol=1e-8)
    assert fit.penalties[0] == FIRST[np.argmin(first)]
    second = [paper_kiv(y, x, z, *scales, fit.penalties[0], xi)[1] for xi in SECOND]
    np.testing.assert_allclose(fit.losses[1], second, rtol=1e-6)
    chosen = paper_kiv(y, x, z, *scales, *fit.penalties)[2]
    np.testing.assert_allclose(kernel_predict(fit, x[30:]), chosen, atol=1e-6)


@jax.jit
def exact_and_approximate(y, x, z):
    """Predictions of every method at the data, exact and with all rows as landmarks."""
    penalties = jnp.array([1e-2, 1e-1])
    pairs = {
        "kiv": (
            kernel_iv(y, x, z, penalties, penalties),
            nystroem_kernel_iv(y, x, z, penalties, penalties, landmarks=60),
        ),
        "mmr": (kernel_mmr(y, x, z, penalties), nystroem_kernel_mmr(y, x, z, penalties, landmarks=60)),
        "ridge": (kernel_ridge(y, x, penalties), nystroem_kernel_ridge(y, x, penalties, landmarks=60)),
    }
    return {name: [kernel_predict(fit, x) for fit in pair] for name, pair in pairs.items()}


def test_all_rows_as_landmarks_is_the_exact_method():
    for name, (exact, approximate) in exact_and_approximate(*sample()).items():
        np.testing.assert_allclose(approximate, exact, atol=1e-6, err_msg=name)


def test_nystroem_features_reproduce_the_kernel_on_landmarks_even_when_it_is_singular():
    x = jnp.concatenate([sample()[1]] * 2)  # every row twice
    scale = jnp.array([1.0, 1.0])
    features = nystroem_features(nystroem(x, scale), x)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features @ features.T, gaussian_kernel(x, x, scale), atol=1e-6)


def test_kernel_ridge_is_scikit_learns_and_its_left_out_error_is_exact():
    y, x, _ = sample(40)
    fit = kernel_ridge(y, x, FIRST)
    gamma = np.asarray(x / fit.lengthscale)

    def peer(penalty, rows):
        return KernelRidge(alpha=40 * float(penalty), kernel="rbf", gamma=0.5).fit(gamma[rows], np.asarray(y)[rows])

    everything = np.arange(40)
    np.testing.assert_allclose(kernel_predict(fit, x), peer(fit.penalties[0], everything).predict(gamma), atol=1e-8)
    for penalty, loss in zip(FIRST[1:], fit.losses[0][1:], strict=True):
        left_out = [float(y[i] - peer(penalty, np.delete(everything, i)).predict(gamma[[i]])[0]) for i in everything]
        assert loss == pytest.approx(np.mean(np.square(left_out)), rel=1e-6)


def test_mmr_minimizes_its_objective():
    y, x, z = sample()
    penalty = 1e-3
    fit = kernel_mmr(y, x, z, jnp.array([penalty]))
    gram = gaussian_kernel(x, x, fit.lengthscale)
    kernel = gaussian_kernel(z, z, median_lengthscale(z))

    def objective(weights):
        residuals = y - gram @ weights
        return residuals @ kernel @ residuals / len(y) ** 2 + penalty * weights @ gram @ weights

    least = objective(fit.weights)
    assert float(jnp.abs(jax.grad(objective)(fit.weights)).max()) < 1e-10
    assert all(objective(fit.weights + 0.01 * d) > least for d in np.random.default_rng(1).normal(size=(5, 60)))


def test_the_moment_risk_is_the_sum_over_pairs():
    y, _, z = sample(12)
    kernel = np.asarray(gaussian_kernel(z, z, jnp.ones(2)))
    r = np.asarray(y)
    pairs = [r[i] * kernel[i, j] * r[j] for i in range(12) for j in range(12) if i != j]
    assert float(moment_risk(y, kernel)) == pytest.approx(np.mean(pairs), rel=1e-10)
    both = moment_risk(jnp.stack([y, 2 * y], axis=1), kernel)
    np.testing.assert_allclose(both, [np.mean(pairs), 4 * np.mean(pairs)], rtol=1e-10)


@pytest.fixture(scope="module")
def errors():
    """Median errors over 24 data sets of the NP design, n = 1,000; "none" conditions on the treatment itself."""
    penalties = default_penalties(15)

    def replicate(key):
        s = newey_powell(key, n=1000, grid=200)
        fits = {
            "kiv": nystroem_kernel_iv(s.y, s.t, s.z, penalties, penalties, landmarks=50),
            "mmr": nystroem_kernel_mmr(s.y, s.t, s.z, penalties, landmarks=50),
            "ridge": nystroem_kernel_ridge(s.y, s.t, penalties, landmarks=50),
            "none": nystroem_kernel_iv(s.y, s.t, s.t, penalties, penalties, landmarks=50),
        }
        return {name: jnp.mean((kernel_predict(fit, s.test_t) - s.test_f) ** 2) for name, fit in fits.items()}

    with jax.enable_x64(True):
        result = jax.jit(lambda keys: jax.lax.map(replicate, keys))(jax.random.split(jax.random.key(2), 24))
    return {name: float(np.median(values)) for name, values in result.items()}


def test_instruments_beat_regression(errors):
    assert errors["kiv"] < 0.75 * errors["ridge"]
    assert errors["mmr"] < 0.75 * errors["ridge"]


def test_without_an_instrument_kiv_is_a_biased_regression(errors):
    assert errors["none"] > 1.3 * errors["kiv"]
    assert 0.1 < errors["ridge"] < 0.18


def test_many_at_once_equal_one_by_one():
    samples = [sample(60, seed) for seed in range(3)]
    stacked = [jnp.stack(block)[None] for block in zip(*samples, strict=True)]
    nested = jax.jit(jax.vmap(jax.vmap(exact_and_approximate)))(*stacked)
    together = jax.tree.map(lambda leaf: leaf[0], nested)
    for lane, arrays in enumerate(samples):
        for name, pair in exact_and_approximate(*arrays).items():
            for one, many in zip(pair, together[name], strict=True):
                np.testing.assert_allclose(many[lane], one, atol=1e-7)
