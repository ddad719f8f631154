"""The hidden confounder's law against numerical integration, and its posterior on data with a known effect."""

import importlib.util
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import expit

from causalrep.confounders import BayesianConfounder, Confounded
from causalrep.data import hidden_confounder
from causalrep.errors import IdentificationWarning, InputError

pytestmark = pytest.mark.filterwarnings("ignore::causalrep.errors.OverlapWarning")
PARAMETERS = {"b": 1.3, "c": -0.8, "s": 0.6}


@pytest.mark.parametrize("law", ["gaussian", "two_point"])
def test_density_and_posterior_mean_are_the_integrals(law, x64):
    index, base, effect = np.array([0.4, -1.2, 2.0]), np.array([0.3, 0.0, -0.5]), np.array([1.0, 2.0, -1.0])
    ty = np.array([[1.0, 2.1], [0.0, -0.9], [1.0, -3.0]])
    result = Confounded(jnp.asarray(index), jnp.asarray(base), jnp.asarray(effect), law=law, **PARAMETERS)
    b, c, s = PARAMETERS.values()

    def joint(u, i):
        p = expit(index[i] + b * u) if law == "two_point" else stats.norm.cdf(index[i] + b * u)
        t, y = ty[i]
        return (p if t == 1 else 1 - p) * stats.norm.pdf(y, base[i] + effect[i] * t + c * u, s)

    for i in range(3):
        if law == "two_point":
            density, moment = (joint(1.0, i) + joint(-1.0, i)) / 2, (joint(1.0, i) - joint(-1.0, i)) / 2
        else:
            density, moment = (
                integrate.quad(lambda u, k=k: u**k * joint(u, i) * stats.norm.pdf(u), -9, 9, epsabs=1e-13)[0]  # noqa: B023
                for k in (0, 1)
            )
        np.testing.assert_allclose(result.log_prob(jnp.asarray(ty))[i], np.log(density), rtol=1e-7)
        np.testing.assert_allclose(result.confounder(jnp.asarray(ty))[i], moment / density, rtol=1e-6, atol=1e-8)


def test_samples_follow_the_density(x64):
    law = Confounded(*(jnp.full(1, v) for v in (0.4, 0.3, 1.0)), law="gaussian", **PARAMETERS)
    drawn = law.sample(jax.random.key(0), (200_000,))[:, 0]
    p = stats.norm.cdf(0.4 / np.sqrt(1 + 1.3**2))
    np.testing.assert_allclose(drawn[:, 0].mean(), p, atol=0.005)
    untreated = np.asarray(drawn[drawn[:, 0] == 0, 1])
    grid = np.linspace(-5, 5, 2001)
    pairs = jnp.column_stack([jnp.zeros(2001), grid])
    density = np.exp([float(law.log_prob(pair[None])[0]) for pair in pairs[::100]])
    seen, edges = np.histogram(untreated, bins=40, range=(-5, 5))
    expected = np.interp((edges[1:] + edges[:-1]) / 2, grid[::100], density / (1 - p))
    np.testing.assert_allclose(seen / len(untreated) / 0.25, expected, atol=0.05)


@pytest.fixture(scope="module")
def fitted():
    s = hidden_confounder(jax.random.key(3), n=300)
    x, t, y = (np.asarray(values, float) for values in (s.x, s.t, s.y))
    return s, BayesianConfounder("two_point", warmup=200, draws=150, chains=2).fit(y, t, X=x)


def test_the_posterior_finds_the_effect_and_the_confounder(fitted):
    s, model = fitted
    low, high = model.ate_interval()
    truth = float(np.mean(s.mu1 - s.mu0))
    assert low < truth < high
    assert high - low < 1.0
    naive = s.y[s.t == 1].mean() - s.y[s.t == 0].mean()
    assert naive > high + 2
    assert abs(np.corrcoef(model.confounder(), s.u)[0, 1]) > 0.95
    assert model.diagnostics_["r_hat"] < 1.05
    one, two = model.effect(np.array([[0.0] * 5, [1.0, 0, 0, 0, 0]]))
    np.testing.assert_allclose(two - one, 1.0, atol=0.4)


def test_the_summary_says_what_it_rests_on(fitted):
    text = str(fitted[1].summary())
    assert "not by the data" in text
    assert "r_hat" in text


def test_arviz_is_optional(fitted, monkeypatch):
    _, model = fitted
    if importlib.util.find_spec("arviz") is None:
        with pytest.raises(ImportError, match=r"pip install .causalrep\[bayes\]"):
            model.to_arviz()

    class Stub:
        @staticmethod
        def from_numpyro(mcmc, posterior_predictive):
            return mcmc, posterior_predictive

    monkeypatch.setitem(sys.modules, "arviz", Stub)
    mcmc, predictive = model.to_arviz()
    assert mcmc is model.mcmc_
    assert predictive["ty"].shape == (300, 300, 2)
    assert np.isfinite(predictive["ty"]).all()


@pytest.mark.filterwarnings("ignore:The chains disagree")
def test_without_an_exclusion_a_gaussian_confounder_warns():
    s = hidden_confounder(jax.random.key(0), n=80, latent="gaussian", treatment="probit")
    x, t, y = (np.asarray(values, float) for values in (s.x[:, :1], s.t, s.y))
    with pytest.warns(IdentificationWarning, match="No excluded covariate"):
        BayesianConfounder("gaussian", warmup=20, draws=20, chains=1).fit(y, t, X=x)


def test_bad_input():
    x, t = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    with pytest.raises(InputError, match="latent"):
        BayesianConfounder("uniform").fit(x[:, 0], t, X=x)
    with pytest.raises(InputError, match="prior_scale"):
        BayesianConfounder("gaussian", prior_scale=0.0).fit(x[:, 0], t, X=x)
