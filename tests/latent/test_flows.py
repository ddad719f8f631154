"""Flows of the reference methods: densities against closed forms, recovery where it is easy, chance elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from causalrep.data import cauca_simulation, leap_simulation, segments_simulation
from causalrep.errors import InputError
from causalrep.latent import CauCA, IFlow, Schedule, TemporalFlow
from causalrep.latent.interventions.cauca import CausalFlow
from causalrep.latent.segments.iflow import SegmentFlow
from causalrep.latent.series.temporal_flow import TemporalFlowModel
from causalrep.metrics import chance_level, mcc

QUICK = Schedule(steps=1500, batch_size=512, learning_rate=2e-2, restarts=2)
CHAIN = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]])


def chance(z):
    return float(chance_level(mcc, jax.random.key(5), z, draws=50).mean)


# ---------------------------------------------------------------- densities


def test_environments_densities_are_those_of_gaussian_models_behind_the_flow(x64):
    model, targets = CausalFlow(3, 3, blocks=1, hidden=()), jnp.array([2, 0, 1])
    x, graph = jax.random.normal(jax.random.key(0), (10, 3)), jnp.array(CHAIN, bool)
    params = model.init(jax.random.key(1), x, graph, targets)
    params = jax.tree.map(lambda leaf: leaf + 0.3 * jax.random.normal(jax.random.key(2), leaf.shape), params)
    own, encode = params["params"], lambda x: model.apply(params, x, method=CausalFlow.encode)
    z = encode(x)
    volume = jnp.linalg.slogdet(jax.jit(jax.vmap(jax.jacfwd(encode)))(x))[1]
    expected = []
    for e in range(4):
        b, mean, scale = np.eye(3) - np.asarray(own["effects"]) * CHAIN.T, np.zeros(3), np.ones(3)
        if e:
            i = int(targets[e - 1])
            b[i] = np.eye(3)[i]
            mean[i], scale[i] = own["mean"][e - 1], np.exp(own["log_scale"][e - 1])
        inverse = np.linalg.inv(b)
        law = dist.MultivariateNormal(inverse @ mean, inverse @ np.diag(scale**2) @ inverse.T)
        expected.append(law.log_prob(z) + volume)
    np.testing.assert_allclose(model.apply(params, x, graph, targets), np.stack(expected, axis=1), atol=1e-8)


def test_a_segments_density_is_that_of_independent_gaussians_behind_the_flow(x64):
    model, code = SegmentFlow(3, 2, blocks=1, hidden=()), jnp.array([0, 1, 1, 0])
    x = jax.random.normal(jax.random.key(0), (4, 3))
    params = model.init(jax.random.key(1), x, code)
    params = jax.tree.map(lambda leaf: leaf + 0.3 * jax.random.normal(jax.random.key(2), leaf.shape), params)
    own, encode = params["params"], lambda x: model.apply(params, x, method=SegmentFlow.encode)
    volume = jnp.linalg.slogdet(jax.jit(jax.vmap(jax.jacfwd(encode)))(x))[1]
    law = dist.Normal(own["mean"][code], jnp.exp(own["log_scale"])[code]).to_event(1)
    np.testing.assert_allclose(model.apply(params, x, code), law.log_prob(encode(x)) + volume, atol=1e-8)


def test_a_steps_density_given_its_past_is_that_of_laplace_noises_behind_the_flow(x64):
    model = TemporalFlowModel(2, (), blocks=1, hidden=())
    x = jax.random.normal(jax.random.key(0), (5, 3, 2))
    params = model.init(jax.random.key(1), x)
    params = jax.tree.map(lambda leaf: leaf + 0.3 * jax.random.normal(jax.random.key(2), leaf.shape), params)
    own, encode = params["params"], lambda x: model.apply(params, x, method=TemporalFlowModel.encode)
    volume = jnp.linalg.slogdet(jax.jit(jax.vmap(jax.jacfwd(encode)))(x[:, -1]))[1]
    z, line = encode(x), own["mean"]["Dense_0"]
    mean = jnp.concatenate([z[:, 0], z[:, 1]], axis=1) @ line["kernel"] + line["bias"]
    law = dist.Laplace(mean, jnp.exp(own["log_scale"])).to_event(1)
    np.testing.assert_allclose(model.apply(params, x), law.log_prob(z[:, -1]) + volume, atol=1e-8)


# ---------------------------------------------------------------- recovery


@pytest.fixture(scope="module")
def shifted():
    """Three latents, each intervened on once, behind one layer of tanh: rows, labels, latents without intervention."""
    data = cauca_simulation(jax.random.key(3), n=2000, latents=3, layers=1, density=1.0)
    x = np.asarray(data.rows.x, float).reshape(-1, 3)
    return x, np.repeat(["none", "A", "B", "C"], 2000), data.rows.z[0], np.asarray(data.interventions.graph)


def own_correlations(z, codes):
    return [abs(np.corrcoef(z[:, i], codes[:, i])[0, 1]) for i in range(z.shape[1])]


def fitted(shifted, targets, graph=None, labels=None):
    x, own, _, known = shifted
    model = CauCA(known if graph is None else graph, blocks=1, hidden=(), schedule=QUICK)
    return model.fit(x, own if labels is None else labels, observational="none", targets=targets)


@pytest.mark.slow
def test_causal_components_need_the_right_targets(shifted):
    x, labels, z, _ = shifted
    right = fitted(shifted, {"A": 0, "B": 1, "C": 2})
    codes = right.transform(x[labels == "none"])
    assert float(mcc(z, codes)) > 0.97
    assert min(own_correlations(z, codes)) > 0.95, "in the order of the graph"
    assert float(mcc(np.random.default_rng(0).permutation(z), codes)) < 0.1, "rows of the truth permuted"
    wrong = fitted(shifted, {"A": 1, "B": 2, "C": 0})
    # Latents under wrong names: MCC forgives that, for it looks for the names itself.
    assert np.mean(own_correlations(z, wrong.transform(x[labels == "none"]))) < 0.7
    assert wrong.validation_loss_ > right.validation_loss_ + 0.01
    blind = fitted(shifted, {"A": 0, "B": 1, "C": 2}, labels=np.random.default_rng(0).permutation(labels))
    assert float(mcc(z, blind.transform(x[labels == "none"]))) < chance(z) + 0.12


@pytest.mark.slow
def test_segments_identify_latents_and_shuffled_ones_do_not():
    rows = segments_simulation(jax.random.key(4), n=500, latents=3, segments=15)
    x, z = np.concatenate(rows.x).astype(float), np.concatenate(rows.z)
    segment = np.repeat(np.arange(15), 500)
    result = IFlow(hidden=(), schedule=QUICK).fit(x, segment)
    assert float(mcc(z, result.transform(x))) > 0.97
    blind = IFlow(hidden=(), schedule=QUICK).fit(x, np.random.default_rng(0).permutation(segment))
    assert float(mcc(z, blind.transform(x))) < chance(z) + 0.12
    assert blind.validation_loss_ > result.validation_loss_ + 0.1


@pytest.mark.slow
def test_the_past_identifies_latents_and_their_transitions_and_that_of_others_does_not():
    sample = leap_simulation(jax.random.key(1), n=4000, latents=3, layers=2)
    x, z, series = np.asarray(sample.x, float), np.asarray(sample.z, float), np.repeat(np.arange(4000), 3)
    result = TemporalFlow(hidden=(), schedule=QUICK).fit(x.reshape(-1, 3), series)
    codes = result.transform(x[:, -1])
    assert float(mcc(z[:, -1], codes)) > 0.95
    # The simulation's transitions, by regression of the true latents; the fit's, renamed and rescaled to those.
    true = np.linalg.lstsq(z[:, 1::-1].reshape(-1, 6), z[:, -1])[0].reshape(2, 3, 3)
    correlations = np.corrcoef(z[:, -1].T, codes.T)[:3, 3:]
    order = abs(correlations).argmax(axis=1)
    slope = np.diag(correlations[:, order]) * codes.std(axis=0)[order] / z[:, -1].std(axis=0)
    learned = result.transitions_[:, order][:, :, order] * slope[:, None] / slope
    np.testing.assert_allclose(learned, true, atol=0.12)
    assert abs(learned[::-1] - true).max() > 0.3, "lags exchanged"
    others = np.concatenate([np.roll(x[:, :-1], 7, axis=0), x[:, -1:]], axis=1)
    blind = TemporalFlow(hidden=(), schedule=QUICK).fit(others.reshape(-1, 3), series)
    assert blind.validation_loss_ > result.validation_loss_ + 0.02


# ---------------------------------------------------------------- the door

ROWS = np.random.default_rng(0).normal(size=(400, 3))
LABELS = np.arange(400) % 4


@pytest.mark.parametrize(
    ("fit", "named"),
    [
        (lambda: CauCA(CHAIN).fit(ROWS, LABELS, observational=0), "targets"),
        (lambda: CauCA(CHAIN).fit(ROWS, LABELS, observational=0, targets={1: 0, 2: 1}), "targets"),
        (lambda: CauCA(CHAIN).fit(ROWS, LABELS, observational=0, targets={1: 0, 2: 1, 3: 1}), "targets"),
        (lambda: CauCA(CHAIN).fit(ROWS, None, observational=0, targets={}), "environment"),
        (lambda: CauCA(CHAIN).fit(ROWS[:, :2], LABELS, observational=0, targets={}), "X"),
        (lambda: CauCA(CHAIN + CHAIN.T).fit(ROWS, LABELS, observational=0, targets={}), "graph"),
        (lambda: CauCA(np.ones((2, 3))).fit(ROWS, LABELS, observational=0, targets={}), "graph"),
        (lambda: CauCA(CHAIN, blocks=-1).fit(ROWS, LABELS, observational=0, targets={}), "blocks"),
        (lambda: IFlow().fit(ROWS, None), "segment"),
        (lambda: IFlow().fit(ROWS, np.zeros(400)), "segment"),
        (lambda: IFlow(blocks=-1).fit(ROWS, LABELS), "blocks"),
        (lambda: TemporalFlow(lags=0).fit(ROWS), "lags"),
        (lambda: TemporalFlow().fit(ROWS, LABELS), "series"),
        (lambda: TemporalFlow().fit(ROWS, LABELS[:-1]), "series"),
        (lambda: TemporalFlow().fit(ROWS, np.repeat([0.0, np.nan], 200)), "series"),
        (lambda: TemporalFlow().fit(ROWS, np.repeat(range(200), 2)), "X"),
        (lambda: TemporalFlow(blocks=-1).fit(ROWS), "blocks"),
    ],
)
def test_wrong_input_is_named(fit, named):
    with pytest.raises(InputError, match=f"^{named}: found"):
        fit()
