"""Sandwich covariances against statsmodels and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm

from causalrep.inference import Covariance, meat, sandwich_covariance
from causalrep.inference.sandwich import automatic_bandwidth, bartlett_meat, leverages

pytestmark = pytest.mark.usefixtures("x64")
N, GROUPS = 240, 12


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(20260101)
    x = np.column_stack([rng.normal(size=(N, 3)) * [1.0, 5.0, 0.1], np.ones(N)])
    groups = rng.integers(0, GROUPS, N)
    e = rng.normal(size=N) * np.exp(0.4 * x[:, 0]) + rng.normal(size=GROUPS)[groups]
    return x, x @ [1.0, -1.0, 2.0, 0.5] + np.convolve(e, [1, 0.6], "same"), groups


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize("kind", ["homoskedastic", "HC0", "HC1", "HC2", "HC3", "cluster", "HAC"])
def test_against_statsmodels(data, kind, debiased):
    x, y, groups = data
    if kind == "cluster":
        keywords = {"groups": groups, "use_correction": debiased}
    elif kind == "HAC":
        keywords = {"maxlags": 5, "use_correction": debiased}
    else:
        keywords = {}
    kind_there = "nonrobust" if kind == "homoskedastic" else kind
    there = sm.OLS(y, x).fit(cov_type=kind_there, cov_kwds=keywords)
    expected = np.asarray(there.cov_params())
    if kind == "homoskedastic" and not debiased:
        expected = expected * (N - x.shape[1]) / N
    ours = Covariance(kind, debiased=debiased, clusters=jnp.asarray(groups), n_clusters=GROUPS, bandwidth=5)
    np.testing.assert_allclose(
        sandwich_covariance(x, np.asarray(there.resid), x.T @ x, ours), expected, rtol=1e-9, atol=1e-14
    )


def test_cluster_bound_need_not_be_tight(data):
    x, y, groups = data
    tight = meat(x, y, Covariance("cluster", clusters=jnp.asarray(groups), n_clusters=GROUPS))
    loose = meat(x, y, Covariance("cluster", clusters=jnp.asarray(groups)))
    np.testing.assert_allclose(tight, loose, rtol=1e-12)


def test_singleton_clusters_are_hc0(data):
    x, y, _ = data
    own = Covariance("cluster", debiased=False, clusters=jnp.arange(N))
    np.testing.assert_allclose(meat(x, y, own), meat(x, y, "HC0"), rtol=1e-12)


def test_bartlett_against_the_definition(data):
    x, y, _ = data
    scores = x * y[:, None]
    expected = scores.T @ scores
    for j in range(1, 5):
        gamma = scores[j:].T @ scores[:-j]
        expected = expected + (1 - j / 5) * (gamma + gamma.T)
    np.testing.assert_allclose(bartlett_meat(jnp.asarray(scores), 4), expected, rtol=1e-11)
    np.testing.assert_allclose(bartlett_meat(jnp.asarray(scores), jnp.asarray(4)), expected, rtol=1e-11)
    np.testing.assert_allclose(bartlett_meat(jnp.asarray(scores), 0), scores.T @ scores, rtol=1e-12)


@pytest.mark.parametrize("n", [30, 100, 101, 500])
def test_automatic_bandwidth_against_linearmodels(n):
    from linearmodels.iv.covariance import kernel_optimal_bandwidth

    rng = np.random.default_rng(n)
    series = np.convolve(rng.normal(size=n + 4), [1, 0.9, 0.7, 0.4, 0.2], "valid")
    assert int(automatic_bandwidth(jnp.asarray(series))) == kernel_optimal_bandwidth(series)


def test_leverages_are_the_projection_diagonal(data):
    x = data[0]
    np.testing.assert_allclose(leverages(x), np.diag(x @ np.linalg.solve(x.T @ x, x.T)), rtol=1e-9)


def test_unknown_kind_is_refused(data):
    with pytest.raises(ValueError, match="HC9"):
        meat(data[0], data[1], "HC9")
    with pytest.raises(ValueError, match="clusters"):
        meat(data[0], data[1], "cluster")


def test_a_covariance_request_is_a_pytree(data):
    x, y, groups = data
    request = Covariance("cluster", clusters=jnp.asarray(groups), n_clusters=GROUPS)
    np.testing.assert_allclose(jax.jit(meat)(x, y, request), meat(x, y, request), rtol=1e-12)
    shuffled = jnp.stack([jnp.asarray(groups), jnp.asarray(groups[::-1])])
    batch = jax.vmap(lambda g: meat(x, y, Covariance("cluster", clusters=g, n_clusters=GROUPS)))(shuffled)
    np.testing.assert_allclose(batch[0], meat(x, y, request), rtol=1e-12)
