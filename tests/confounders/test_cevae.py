"""CEVAE: its bound against an independent computation, an effect observed through proxies, and input errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from causalrep.confounders import CEVAE, CEVAEModel, cevae_objective
from causalrep.confounders.cevae import Networks
from causalrep.data import causalml_hidden_confounder, noisy_copies
from causalrep.effects import AIPW
from causalrep.errors import DivergenceError, InputError, NoIntervalError
from causalrep.training.rows import Schedule


def test_objective_is_the_bound_and_the_two_guesses():
    """The mean over keys against Monte Carlo of the same integrals with scipy's densities."""
    rng = np.random.default_rng(0)
    n, model = 6, CEVAEModel(binary=(1,), latents=2, width=8)
    batch = {
        "x": jnp.asarray(np.column_stack([rng.normal(size=n), rng.integers(0, 2, n), rng.normal(size=n)]), jnp.float32),
        "t": jnp.asarray(rng.integers(0, 2, n), jnp.float32),
        "y": jnp.asarray(rng.normal(size=n), jnp.float32),
    }
    objective, networks = cevae_objective(model, 3), Networks(model, 3)
    params = objective.init(jax.random.key(0), batch)
    losses = jax.jit(jax.vmap(lambda key: objective.loss(params, key, batch)[0]))(
        jax.random.split(jax.random.key(1), 4000)
    )

    def parts(module, z):
        (binary, _), (normal, _) = module.proxies(z)["x_binary"], module.proxies(z)["x_normal"]
        q = module.encode(batch["x"], batch["t"], batch["y"]).base_dist
        guess = module.guessed_y(batch["x"])
        return (
            q.loc,
            q.scale,
            binary.base_dist.logits,
            normal.base_dist.loc,
            normal.base_dist.scale,
            module.t_net(z)[:, 0],
            module.outcomes(z),
            module.guessed_t(batch["x"]).logits,
            guess,
        )

    run = jax.jit(jax.vmap(lambda z: networks.apply(params, z, method=parts)))
    loc, scale, *_ = (np.asarray(a)[0] for a in run(jnp.zeros((1, n, 2))))
    z = loc + scale * rng.normal(size=(4000, n, 2))
    x, t, y = (np.asarray(batch[name]) for name in "xty")
    result = (np.asarray(a, np.float64) for a in run(jnp.asarray(z, jnp.float32)))
    _, _, on_binary, mean, sd, on_t, on_y, q_t, q_y = result
    arm = t.astype(int)
    log_p = (
        stats.bernoulli.logpmf(x[:, 1], expit(on_binary[..., 0]))
        + stats.norm.logpdf(x[:, [0, 2]], mean, sd).sum(-1)
        + stats.bernoulli.logpmf(t, expit(on_t))
        + stats.norm.logpdf(y, on_y[:, np.arange(n), arm], 1.0)
        + stats.norm.logpdf(z).sum(-1)
        - stats.norm.logpdf(z, loc, scale).sum(-1)
    ).mean(1)
    guesses = stats.bernoulli.logpmf(t, expit(q_t[0])) + stats.norm.logpdf(y, q_y[0][np.arange(n), arm], 1.0)
    noise = np.hypot(log_p.std(), losses.std()) / np.sqrt(4000)
    np.testing.assert_allclose(-losses.mean(), log_p.mean() + guesses.mean(), atol=5 * noise)


@pytest.fixture(scope="module")
def copies():
    s = noisy_copies(jax.random.key(0), n=2000, proxies=5)
    s = type(s)(*(np.asarray(a, np.float64) for a in s))
    return s, CEVAE(latents=3, width=32, schedule=Schedule(epochs=30), draws=20).fit(s.y, s.t, X=s.x)


def test_proxies_that_determine_the_confounder_take_away_part_of_the_bias(copies):
    s, model = copies
    naive = s.y[s.t == 1].mean() - s.y[s.t == 0].mean()
    adjusted = AIPW().fit(s.y, s.t, X=s.x).ate()
    assert naive > 2.5
    assert adjusted > 1.5
    assert 0.5 < model.ate() < adjusted
    assert model.effect(s.x[:4]).shape == (4,)


def test_no_interval_and_the_caveat(copies):
    _, model = copies
    with pytest.raises(NoIntervalError, match="no interval"):
        model.ate_interval()
    text = str(model.summary())
    assert "NOT identified" in text
    assert "Binary proxies" in text


def test_causalml_simulation_has_its_effect(x64):
    s = causalml_hidden_confounder(jax.random.key(0), n=200_000)
    np.testing.assert_allclose((s.mu1 - s.mu0).mean(), 0.7265, atol=0.003)
    np.testing.assert_allclose(s.x[s.u == 1].std(), 5.0, rtol=0.01)
    np.testing.assert_allclose(s.t[s.u == 1].mean(), 0.75, atol=0.01)


def test_bad_input():
    x, t = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2
    with pytest.raises(InputError, match="binary"):
        CEVAE(binary=(0,)).fit(x[:, 0] + t, t, X=x)
    with pytest.raises(InputError, match="latents"):
        CEVAE(latents=0).fit(x[:, 0], t, X=x)
    with pytest.raises(InputError, match="seed: found None"):
        CEVAE(seed=None).fit(x[:, 0], t, X=x)
    with pytest.raises(InputError, match="Y: found values"):
        CEVAE(outcome="bernoulli").fit(x[:, 0] + t, t, X=x)


def test_divergence_names_the_estimator_and_the_update():
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(200, 2)), rng.integers(0, 2, 200)
    with pytest.raises(DivergenceError, match=r"^CEVAE\(.*learning_rate=1e\+30.*at update \d+\. Lower") as raised:
        CEVAE(latents=2, width=8, schedule=Schedule(epochs=3, learning_rate=1e30)).fit(x[:, 0] + t, t, X=x)
    assert raised.value.step >= 0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(raised.value.params))
