"""Networks of the reference methods: densities against closed forms, recovery where it is easy, chance elsewhere."""

import dataclasses
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from causalrep.data import one_per_latent
from causalrep.data.simulators.latent.mechanisms import draw_latents
from causalrep.errors import InputError
from causalrep.latent import IVAE, TCL, BetaVAE, ContrastiveCRL, Schedule, contrastive_objective, elbo_objective
from causalrep.latent.environments.rows import coded_rows
from causalrep.latent.interventions.contrastive import ContrastiveModel
from causalrep.latent.segments.vae import VAE
from causalrep.metrics import chance_level, mcc, r2

QUICK = Schedule(steps=1000, batch_size=256, learning_rate=1e-2)
D = 3


@pytest.fixture(scope="module")
def shifted():
    """Three latents in a chain, each intervened on once, rotated: rows of x, labels, rows of z without intervention."""
    weights = jnp.array([[0.0, 0.0, 0.0], [0.9, 0.0, 0.0], [0.0, -0.8, 0.0]])
    interventions = one_per_latent(jnp.eye(D) - weights, 0.6 * jnp.eye(D), jnp.array([1.0, -1.0, 1.0]))
    z = draw_latents(jax.random.key(0), interventions, 2000)
    x = np.asarray(z @ jax.random.orthogonal(jax.random.key(1), D), float)
    return x.reshape(-1, D), np.repeat(np.arange(D + 1), 2000), z[0], np.asarray(interventions.graph), interventions


@pytest.fixture(scope="module")
def segmented():
    """Three Laplace latents whose scales differ over 12 segments, rotated."""
    scales = jax.random.uniform(jax.random.key(2), (12, 1, D), minval=0.1)
    z = (scales * jax.random.laplace(jax.random.key(3), (12, 500, D))).reshape(-1, D)
    x = np.asarray(z @ jax.random.orthogonal(jax.random.key(4), D), float)
    return x, np.repeat(np.arange(12), 500), z


def chance(z):
    return float(chance_level(mcc, jax.random.key(5), z, draws=50).mean)


# ---------------------------------------------------------------- densities


def test_contrastive_logits_are_log_ratios_of_gaussian_densities(x64, shifted):
    interventions = shifted[-1]
    z, maps = jax.random.normal(jax.random.key(1), (30, D)), np.asarray(interventions.maps, float)
    means = np.asarray(interventions.means, float)

    def log_density(e):
        covariance = np.linalg.inv(maps[e].T @ maps[e])
        return dist.MultivariateNormal(np.linalg.solve(maps[e], means[e]), covariance).log_prob(z)

    ratio = np.stack([log_density(0) - log_density(i + 1) for i in range(D)], axis=1)
    model = ContrastiveModel(D, ())
    params = jax.tree.map(jnp.asarray, model.init(jax.random.key(0), z))
    own = params["params"]
    own["encoder"]["Dense_0"] = {"kernel": jnp.eye(D), "bias": jnp.zeros(D)}
    scale = np.diagonal(maps[0])
    own["weights"], own["log_precision"] = np.eye(D) - maps[0] / scale[:, None], np.log(scale / np.sqrt(2.0))
    after = np.diagonal(maps, axis1=1, axis2=2)[np.arange(1, D + 1), np.arange(D)]
    mean = means[np.arange(1, D + 1), np.arange(D)]
    own["log_intervened"], own["slope"] = np.log(after / np.sqrt(2.0)), -after * mean
    own["intercept"] = np.log(scale / after) + 0.5 * mean**2
    np.testing.assert_allclose(model.apply(params, z)[1], ratio, atol=1e-9)


def test_environments_weigh_the_same_in_the_contrastive_loss(x64, shifted):
    x, labels = jnp.asarray(shifted[0]), shifted[1]
    model = ContrastiveModel(D, ())
    objective, key = contrastive_objective(model), jax.random.key(0)
    rows = coded_rows(x, labels, D + 1)
    params = objective.init(key, rows)
    twice = np.concatenate([np.arange(len(x)), np.flatnonzero(labels == 2)])  # environment 2 has its rows twice
    more = coded_rows(x[twice], labels[twice], D + 1)
    zeros = jax.tree.map(jnp.zeros_like, params)
    assert float(objective.loss(zeros, key, rows)[1]["cross_entropy"]) == pytest.approx(np.log(2.0), abs=1e-6)
    losses = [float(objective.loss(params, key, part)[1]["cross_entropy"]) for part in (rows, more)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


@pytest.mark.parametrize("segments", [0, 3])
def test_the_bound_is_made_of_gaussian_parts(x64, segments):
    model = VAE(2, 4, hidden=(8,), segments=segments)
    x, key, code = jax.random.normal(jax.random.key(0), (12, 4)), jax.random.key(7), jnp.arange(12) % 3
    params = model.init(key, key, x, code)
    params = jax.tree.map(lambda leaf: leaf + 0.2 * jax.random.normal(jax.random.key(2), leaf.shape), params)
    log_likelihood, divergence = model.apply(params, key, x, code)
    mean, log_variance = model.apply(params, x, code, method=VAE.encode)
    posterior = dist.Normal(mean, jnp.exp(0.5 * log_variance)).to_event(1)
    own = params["params"]
    table = [own["prior_mean"], jnp.exp(0.5 * own["prior_log_variance"])] if segments else [jnp.zeros((3, 2)), 1.0]
    prior = dist.Normal(table[0][code], table[1][code] if segments else 1.0).to_event(1)
    np.testing.assert_allclose(divergence, dist.kl_divergence(posterior, prior), atol=1e-9)
    z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape)
    decoded = model.apply(params, z, method=lambda self, z: self.decoder(z))
    expected = dist.Normal(decoded, jnp.exp(params["params"]["log_noise"])).to_event(1).log_prob(x)
    np.testing.assert_allclose(log_likelihood, expected, atol=1e-9)
    rows = coded_rows(x, code, 3)._replace(x=x)
    plain, weighted = (elbo_objective(model, beta).loss(params, key, rows)[0] for beta in (1.0, 4.0))
    assert float(weighted - plain) == pytest.approx(3.0 * float(jnp.mean(divergence)), abs=1e-6)


# ---------------------------------------------------------------- recovery


def test_contrastive_learning_recovers_latents_and_shuffled_labels_do_not(shifted):
    x, labels, z, graph, _ = shifted
    model = ContrastiveCRL(D, hidden=(), schedule=QUICK).fit(x, labels, observational=0)
    codes = model.transform(x[labels == 0])
    assert float(mcc(z, codes)) > 0.95
    spread = codes.std(axis=0)
    standardized = np.abs(model.effects_) * spread[:, None] / spread[None]
    assert standardized[graph].min() > 2 * standardized[~graph].max()
    assert float(mcc(np.random.default_rng(0).permutation(z), codes)) < 0.1, "rows of the truth permuted"
    blind = ContrastiveCRL(D, hidden=(), schedule=QUICK)
    blind.fit(x, np.random.default_rng(0).permutation(labels), observational=0)
    assert float(mcc(z, blind.transform(x[labels == 0]))) < chance(z) + 0.12
    assert blind.validation_loss_ > 0.68 > model.validation_loss_ + 0.05
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(x[:9]), model.transform(x[:9]))


def test_segments_identify_magnitudes(segmented):
    x, segment, z = segmented
    result = TCL(D, hidden=(16,), schedule=QUICK).fit(x, segment)
    assert float(mcc(abs(z), result.transform(x))) > 0.9
    assert result.validation_loss_ < np.log(12.0) - 0.1
    blind = TCL(D, hidden=(16,), schedule=QUICK).fit(x, np.random.default_rng(0).permutation(segment))
    assert blind.validation_loss_ > np.log(12.0) - 0.02
    assert repr(result) == "TCL(hidden=(16,), latents=3, schedule=" + repr(QUICK) + ")"


def test_a_prior_for_each_segment_identifies_latents_and_shuffled_ones_do_not(segmented):
    x, segment, z = segmented
    stretched = x @ np.diag([1.0, 0.2, 0.05])  # whitened before anything else
    # Linear networks: with a hidden layer the latents' heavy tails show which they are, segments or not.
    longer = dataclasses.replace(QUICK, steps=4000)
    informed = IVAE(D, hidden=(), schedule=longer).fit(stretched, segment)
    codes = informed.transform(stretched, segment)
    assert float(mcc(z, codes)) > 0.97
    assert float(mcc(np.random.default_rng(0).permutation(z), codes)) < 0.1, "rows of the truth permuted"
    blind = IVAE(D, hidden=(), schedule=longer).fit(stretched, np.random.default_rng(0).permutation(segment))
    assert float(mcc(z, blind.transform(stretched, segment))) < 0.94, "0.81 is chance, and whitening alone has 0.9"
    assert blind.validation_loss_ > informed.validation_loss_ + 0.2
    with pytest.raises(InputError, match="segment: found unknown"):
        informed.transform(stretched[:2], [0, 99])
    with pytest.raises(InputError, match="segment: found 3 labels"):
        informed.transform(stretched[:2], [0, 1, 2])


def test_a_beta_vae_keeps_the_rows_but_not_the_latents(segmented):
    x, _, z = segmented
    codes = BetaVAE(D, beta=0.1, hidden=(), schedule=QUICK).fit(x).transform(x)
    assert float(r2(jnp.asarray(x, jnp.float32), codes).mean()) > 0.9
    assert codes.shape == z.shape


# ---------------------------------------------------------------- the door

ROWS = np.random.default_rng(0).normal(size=(400, 3))
LABELS = np.arange(400) % 4


@pytest.mark.parametrize(
    ("fit", "named"),
    [
        (lambda: ContrastiveCRL(2).fit(ROWS, LABELS, observational=0), "environment"),
        (lambda: ContrastiveCRL(3).fit(ROWS, None, observational=0), "environment"),
        (lambda: TCL(3).fit(ROWS, None), "segment"),
        (lambda: IVAE(3).fit(ROWS, None), "segment"),
        (lambda: IVAE(3).fit(ROWS @ np.ones((3, 3)), LABELS), "X"),
        (lambda: TCL(3).fit(ROWS, np.zeros(400)), "segment"),
        (lambda: TCL(0).fit(ROWS, LABELS), "latents"),
        (lambda: BetaVAE(3, beta=0.0).fit(ROWS), "beta"),
        (lambda: BetaVAE(3, schedule=Schedule(steps=0)).fit(ROWS), "schedule.steps"),
        (lambda: BetaVAE(3).fit(np.ones((400, 3))), "X"),
    ],
)
def test_wrong_input_is_named(fit, named):
    with pytest.raises(InputError, match=f"^{named}: found"):
        fit()
