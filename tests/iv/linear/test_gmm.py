"""GMM against linearmodels, its first-order conditions, and the estimators it contains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from linearmodels.iv import IVGMM, IVGMMCUE

from causalrep.inference import Covariance
from causalrep.iv import gmm, liml, two_stage_least_squares
from tests.iv.linear.test_kclass import GROUPS, K, N, P, draw

pytestmark = pytest.mark.usefixtures("x64")
ORDER = [3, 4, 0, 1, 2]


@pytest.fixture(scope="module")
def fresh():
    seed = int(np.random.SeedSequence().entropy % 2**32)
    print("seed", seed)
    return (*draw(seed), np.random.default_rng(seed).integers(0, GROUPS, N))


def request_of(kind, groups):
    if kind == "clustered":
        return Covariance("cluster", clusters=jnp.asarray(groups), n_clusters=GROUPS), {"clusters": groups}
    return {"robust": "HC1", "unadjusted": "homoskedastic"}[kind], {}


@pytest.mark.parametrize("kind", ["robust", "unadjusted", "clustered"])
@pytest.mark.parametrize("steps", ["two-step", "iterated"])
def test_against_linearmodels(fresh, steps, kind):
    y, x, z, c, groups = fresh
    covariance, options = request_of(kind, groups)
    limit = {} if steps == "two-step" else {"iter_limit": 500, "tol": 1e-14}
    there = IVGMM(y, c, x, z, weight_type=kind, **options).fit(cov_type=kind, debiased=True, **limit, **options)
    ours = gmm(y, x, z, c, steps=steps, covariance=covariance)
    assert bool(ours.converged)
    np.testing.assert_allclose(ours.coef, there.params.to_numpy()[ORDER], rtol=1e-8)
    np.testing.assert_allclose(np.sqrt(np.diagonal(ours.cov)), there.std_errors.to_numpy()[ORDER], rtol=1e-8)
    np.testing.assert_allclose(ours.j_statistic, there.j_stat.stat, rtol=1e-7)
    assert int(ours.j_dof) == there.j_stat.df == K - P


@pytest.mark.parametrize("kind", ["robust", "clustered"])
def test_cue_is_a_minimum_of_linearmodels_objective(fresh, kind):
    y, x, z, c, groups = fresh
    covariance, options = request_of(kind, groups)
    model = IVGMMCUE(y, c, x, z, weight_type=kind, center=False, **options)
    ours = gmm(y, x, z, c, steps="cue", covariance=covariance)
    assert bool(ours.converged)
    # Their order is controls then treatments.
    at_ours = np.asarray(ours.coef)[[2, 3, 4, 0, 1]]

    def objective(theta):
        return model.j(theta, np.column_stack([c, x]), y[:, None], np.column_stack([c, z]))

    np.testing.assert_allclose(ours.j_statistic, objective(at_ours), rtol=1e-8)
    there = model.fit(starting=at_ours, cov_type=kind, debiased=True, **options)
    # Their BFGS differentiates numerically, so it stops within about 1e-6 of the minimum, and not below ours.
    assert float(ours.j_statistic) <= there.j_stat.stat * (1 + 1e-10)
    np.testing.assert_allclose(ours.coef, there.params.to_numpy()[ORDER], rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(np.diagonal(ours.cov)), there.std_errors.to_numpy()[ORDER], rtol=1e-5)
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert objective(at_ours + 1e-3 * rng.normal(size=5) * np.abs(at_ours)) > float(ours.j_statistic)


def test_homoskedastic_weights_give_2sls_and_liml(fresh):
    y, x, z, c, _ = fresh
    two_step = gmm(y, x, z, c, covariance="homoskedastic")
    reference = two_stage_least_squares(y, x, z, c)
    np.testing.assert_allclose(two_step.coef, reference.coef, rtol=1e-10)
    np.testing.assert_allclose(two_step.cov, reference.cov, rtol=1e-8)
    cue = gmm(y, x, z, c, steps="cue", covariance="homoskedastic")
    np.testing.assert_allclose(cue.coef, liml(y, x, z, c).coef, rtol=1e-8)
    # J of the homoskedastic two-step is Sargan's n R^2.
    e = np.asarray(reference.residuals)
    w = np.column_stack([c, z])
    fitted = w @ np.linalg.lstsq(w, e, rcond=None)[0]
    np.testing.assert_allclose(two_step.j_statistic, N * (fitted @ fitted) / (e @ e), rtol=1e-8)


def test_just_identified_gmm_is_iv(fresh):
    y, x, z, c, _ = fresh
    reference = two_stage_least_squares(y, x, z[:, :P], c, covariance="HC1")
    for steps in ("two-step", "iterated", "cue"):
        fit = gmm(y, x, z[:, :P], c, steps=steps, covariance="HC1")
        np.testing.assert_allclose(fit.coef, reference.coef, rtol=1e-9)
        np.testing.assert_allclose(fit.cov, reference.cov, rtol=1e-7)
        assert float(fit.j_statistic) < 1e-12


@pytest.mark.parametrize("steps", ["two-step", "iterated", "cue"])
def test_transforms(steps):
    data = tuple(np.stack(part) for part in zip(*(draw(seed, n=120) for seed in range(4))))

    def method(y, x, z, c):
        return gmm(y, x, z, c, steps=steps)

    loop = [jax.jit(method)(*(a[i] for a in data)) for i in range(4)]
    batched = jax.jit(jax.vmap(method))(*data)
    twice = jax.vmap(jax.vmap(method))(*(a.reshape(2, 2, *a.shape[1:]) for a in data))
    for i, one in enumerate(loop):
        np.testing.assert_allclose(batched.coef[i], one.coef, rtol=1e-8)
        np.testing.assert_allclose(twice.cov[i // 2, i % 2], one.cov, rtol=1e-7, atol=1e-12)


def test_unknown_steps_are_refused(fresh):
    with pytest.raises(ValueError, match="three-step"):
        gmm(*fresh[:4], steps="three-step")
