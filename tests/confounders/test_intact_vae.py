"""Intact-VAE: its bound, its balanced prior, and effects with and without a hidden confounder."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from causalrep.confounders import IntactVAE, IntactVAEModel, intact_vae_objective
from causalrep.confounders.intact_vae import Networks
from causalrep.data import hidden_confounder
from causalrep.errors import InputError, NoIntervalError
from causalrep.training.rows import Schedule

pytestmark = pytest.mark.filterwarnings("ignore::causalrep.errors.OverlapWarning")


def small_batch():
    rng = np.random.default_rng(0)
    return {
        "x": jnp.asarray(rng.normal(size=(6, 3)), jnp.float32),
        "t": jnp.asarray([0.0, 1, 0, 1, 1, 0]),
        "y": jnp.asarray(rng.normal(size=6), jnp.float32),
    }


def test_the_objective_is_the_bound():
    """The mean over keys against Monte Carlo of the same integrals with scipy's densities."""
    beta = 2.0
    model, batch = IntactVAEModel(score=2, hidden=(8,), beta=beta), small_batch()
    objective, networks = intact_vae_objective(model), Networks(model)
    params = objective.init(jax.random.key(0), batch)
    losses = jax.jit(jax.vmap(lambda key: objective.loss(params, key, batch)[0]))(
        jax.random.split(jax.random.key(1), 3000)
    )
    q = networks.apply(params, batch["x"], batch["t"], batch["y"], method="encode")
    p = networks.apply(params, batch["x"], batch["t"], method="prior")
    loc, scale = np.asarray(q.loc, float), np.asarray(q.scale, float)
    z = loc + scale * np.random.default_rng(1).normal(size=(3000, 6, 2))
    laws = jax.jit(jax.vmap(lambda z: [(law.loc, law.scale) for law in networks.apply(params, z, method="outcomes")]))(
        jnp.asarray(z, jnp.float32)
    )
    own = np.asarray(batch["t"]).astype(int)
    mean, sd = (
        np.stack([np.asarray(laws[arm][part])[..., 0] for arm in (0, 1)])[own, :, np.arange(6)].T for part in (0, 1)
    )
    likelihood = stats.norm.logpdf(np.asarray(batch["y"]), mean, sd)
    kl = (stats.norm.logpdf(z, loc, scale) - stats.norm.logpdf(z, np.asarray(p.loc), np.asarray(p.scale))).sum(-1)
    bound = (likelihood - beta * kl).mean(1)
    noise = np.hypot(bound.std(), np.std(losses)) / np.sqrt(3000)
    np.testing.assert_allclose(-losses.mean(), bound.mean(), atol=5 * noise)


def test_a_balanced_prior_does_not_see_the_treatment():
    batch = small_batch()
    for balanced in (True, False):
        networks = Networks(IntactVAEModel(hidden=(8,), balanced=balanced))
        params = networks.init(jax.random.key(0), batch)
        both = [networks.apply(params, batch["x"], jnp.full(6, t), method="prior").loc for t in (0.0, 1.0)]
        assert bool(jnp.allclose(*both)) is balanced


@pytest.fixture(scope="module")
def fits():
    result = {}
    for strength in (0.0, 3.0):
        s = hidden_confounder(jax.random.key(0), n=1500, strength=strength)
        x, t, y = (np.asarray(values, float) for values in (s.x, s.t, s.y))
        result[strength] = s, IntactVAE(schedule=Schedule(epochs=60, learning_rate=3e-3)).fit(y, t, X=x)
    return result


def test_right_with_nothing_hidden_and_wrong_as_any_other_with_a_confounder(fits):
    s, model = fits[0.0]
    assert abs(model.ate() - float(np.mean(s.mu1 - s.mu0))) < 0.4
    assert np.corrcoef(model.effect(), np.asarray(s.mu1 - s.mu0))[0, 1] > 0.5
    # U is independent of X: no score of X can hold it, and the bias of adjusting for X alone (3.7) stays.
    s, model = fits[3.0]
    assert model.ate() - float(np.mean(s.mu1 - s.mu0)) > 2.5


def test_no_interval_and_the_caveat(fits):
    _, model = fits[0.0]
    with pytest.raises(NoIntervalError, match="no interval"):
        model.ate_interval()
    assert "NOT identified if a confounder is hidden" in str(model.summary())
    with pytest.raises(InputError, match="columns"):
        model.effect(np.ones((2, 3)))


def test_bad_input():
    x, t = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2
    with pytest.raises(InputError, match="score"):
        IntactVAE(score=0).fit(x[:, 0], t, X=x)
    with pytest.raises(InputError, match="hidden: found 64"):
        IntactVAE(hidden=64).fit(x[:, 0], t, X=x)
    with pytest.raises(InputError, match="beta"):
        IntactVAE(beta=0.0).fit(x[:, 0], t, X=x)
