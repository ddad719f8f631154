"""The deconfounder: its factor model against scikit-learn, effects it recovers, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.confounders import Deconfounder, factor_model, predictive_score
from causalrep.confounders.deconfounder import substitute
from causalrep.errors import IdentificationWarning, InputError


def _causes(n=1500, m=16, seed=0):
    rng = np.random.default_rng(seed)
    z, loadings = rng.normal(size=n), rng.uniform(0.8, 1.5, m) * rng.choice([-1, 1], m)
    a, effects = z[:, None] * loadings + rng.normal(size=(n, m)), 0.3 * rng.normal(size=m)
    return a, a @ effects + 2 * z + rng.normal(size=n), effects, z


def test_factor_model_equals_scikit_learn(x64):
    decomposition = pytest.importorskip("sklearn.decomposition")
    a, _, _, _ = _causes()
    a = (a - a.mean(0)) / a.std(0)
    result = factor_model(jnp.asarray(a), 2)
    peer = decomposition.PCA(2).fit(a)
    covariance = result.loadings @ result.loadings.T + result.noise * np.eye(16)
    # scikit-learn divides by n - 1.
    np.testing.assert_allclose(covariance, peer.get_covariance() * (len(a) - 1) / len(a), atol=1e-10)
    # The posterior mean by conditioning the joint normal of (z, a).
    mean, _ = substitute(result, jnp.asarray(a[:5]))
    np.testing.assert_allclose(mean, np.linalg.solve(covariance, a[:5].T).T @ result.loadings, atol=1e-10)


def test_the_predictive_check_is_even_on_its_own_data_and_fails_a_model_too_rich_for_its_rows(x64):
    a, _, _, _ = _causes()
    a = jnp.asarray((a - a.mean(0)) / a.std(0))
    score = jax.jit(predictive_score)
    assert 0.4 < score(jax.random.key(0), factor_model(a[:1000], 1), a[1000:1200]) < 0.6
    assert score(jax.random.key(0), factor_model(a[:10], 7), a[1000:1200]) < 0.1


def test_a_confounder_of_all_causes_is_adjusted_for():
    a, y, effects, z = _causes()
    with pytest.warns(IdentificationWarning, match="several treatments"):
        model = Deconfounder().fit(y, a)
    assert np.abs(model.effects_ - effects).mean() < 0.2
    assert np.abs(model.effects_without_ - effects).mean() > 0.8
    assert abs(np.corrcoef(model.substitute_[:, 0], z)[0, 1]) > 0.95
    assert "NOT identified" in str(model.summary())


def test_refusals():
    a, y, _, _ = _causes(n=100)
    with pytest.raises(InputError, match="one treatment"):
        Deconfounder().fit(y, a[:, 0])
    with pytest.raises(InputError, match="factors"):
        Deconfounder(factors=8).fit(y, a)
    for share in (0.01, 0.99, "half"):
        with pytest.raises(InputError, match="held_out"):
            Deconfounder(held_out=share).fit(y, a)
