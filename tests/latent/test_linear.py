"""Linear methods from interventions: exact in population, near it in samples, at chance on shuffled environments."""

import pickle
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from causalrep.data import squires_model, varici_model
from causalrep.errors import InputError, NotFittedError
from causalrep.latent import (
    LSCALEI,
    LinearDisentanglement,
    gaussian_score_changes,
    linear_disentanglement,
    lscale,
    moments_of,
    sample_moments,
)
from causalrep.metrics import chance_level, mcc, transitive_closure

GRAPHS = 20


def matched(truth, result):
    """For every true row, the place of the closest found row."""
    distance = np.linalg.norm(np.asarray(truth)[:, None] - np.asarray(result)[None], axis=2)
    places = distance.argmin(axis=1)
    assert len(set(places.tolist())) == len(places)
    return places


def table(rows):
    environments, n, p = rows.x.shape
    x, labels = np.asarray(rows.x, float).reshape(-1, p), np.repeat(np.arange(environments), n)
    return x, labels


def test_exact_covariances_give_unmixing_mechanisms_and_ancestors(x64):
    models = jax.vmap(squires_model)(jax.random.split(jax.random.key(0), GRAPHS))

    @jax.jit
    @jax.vmap
    def fit(model):
        return linear_disentanglement(moments_of(*model.moments(), 5), gamma=1 - 1e-8)

    fits = fit(models)
    for g in range(GRAPHS):
        model, result = (jax.tree.map(lambda leaf, g=g: np.asarray(leaf[g]), tree) for tree in (models, fits))
        places = matched(model.unmixing, result.unmixing)
        np.testing.assert_allclose(result.unmixing[places], model.unmixing, atol=1e-10)
        np.testing.assert_allclose(result.mechanism[places][:, places], model.interventions.maps[0], atol=1e-8)
        truth = np.asarray(transitive_closure(model.interventions.graph))
        np.testing.assert_array_equal(result.ancestors[places][:, places], truth)
        np.testing.assert_array_equal(result.targets, places)


@pytest.mark.parametrize("hard", [True, False])
def test_exact_scores_give_latents_and_graph(x64, hard):
    draw = partial(varici_model, hard=hard, least_signal=1e-2)
    models = jax.vmap(draw)(jax.random.split(jax.random.key(1), GRAPHS))

    @jax.jit
    @jax.vmap
    def fit(model):
        moments = moments_of(*model.moments(), 5)
        return lscale(moments, gaussian_score_changes(moments), tolerance=1e-8, hard=hard)

    fits = fit(models)
    blend = np.asarray(fits.unmixing @ models.mixing)  # codes of latents
    edges = jax.vmap(lambda interventions: interventions.graph)(models.interventions)
    truth = np.asarray(jax.vmap(transitive_closure)(edges))
    graph = np.asarray(edges) if hard else truth
    np.testing.assert_array_equal(fits.graph, graph)
    allowed = np.eye(5, dtype=bool) | (np.zeros_like(truth) if hard else np.swapaxes(truth, 1, 2))
    assert np.abs(blend[~np.broadcast_to(allowed, blend.shape)]).max() < 1e-7
    assert np.abs(np.diagonal(blend, axis1=1, axis2=2)).min() > 1e-3


def test_soft_interventions_do_not_separate_latents_from_their_ancestors(x64):
    model = varici_model(jax.random.key(5), hard=False, least_signal=1e-2, density=1.0)
    moments = moments_of(*model.moments(), 5)
    blend = lscale(moments, gaussian_score_changes(moments), tolerance=1e-8, hard=False).unmixing @ model.mixing
    assert np.abs(np.tril(blend, -1)).max() > 0.05


@pytest.fixture(scope="module")
def squires():
    model = squires_model(jax.random.key(7))
    return model, model.draw(jax.random.key(8), 20_000)


@pytest.fixture(scope="module")
def varici():
    model = varici_model(jax.random.key(7), least_signal=0.02)
    return model, model.draw(jax.random.key(8), 20_000)


def test_facades_recover_latents_from_samples(squires, varici):
    for estimator, (_, rows) in ((LinearDisentanglement(5), squires), (LSCALEI(5), varici)):
        x, labels = table(rows)
        codes = estimator.fit(x, labels, observational=0).transform(x[labels == 0])
        z = rows.z[0]
        chance = chance_level(mcc, jax.random.key(0), z)
        assert float(mcc(z, jnp.asarray(codes))) > 0.9 > float(chance.mean) + 0.03
        rng = np.random.default_rng(0)
        blind = type(estimator)(5).fit(x, rng.permutation(labels), observational=0).transform(x[labels == 0])
        assert float(mcc(z, jnp.asarray(blind))) < float(chance.mean) + 0.12
        assert float(mcc(z[rng.permutation(len(z))], jnp.asarray(codes))) < 0.05, "rows of the truth permuted"


def test_rows_and_environments_may_come_in_any_order(squires):
    _, rows = squires
    x, labels = table(rows)
    names = np.array(list("abcdef"))[labels]
    order = np.random.default_rng(1).permutation(len(x))
    straight = LinearDisentanglement(5).fit(x, names, observational="a")
    mixed = LinearDisentanglement(5).fit(pd.DataFrame(x[order]), names[order], observational="a")
    assert mixed.environments_[0] == "a"
    places = matched(straight.unmixing_, mixed.unmixing_)
    np.testing.assert_allclose(mixed.unmixing_[places], straight.unmixing_, atol=1e-6)
    assert {label: places.tolist().index(t) for label, t in mixed.targets_.items()} == straight.targets_


def test_facades_have_scikit_learns_habits(squires):
    _, rows = squires
    x, labels = table(rows)
    for estimator in (LinearDisentanglement(5), LSCALEI(5)):
        with pytest.raises(NotFittedError):
            estimator.transform(x)
        estimator.fit(x, labels, observational=0)
        again = pickle.loads(pickle.dumps(estimator))
        np.testing.assert_array_equal(again.transform(x[:9]), estimator.transform(x[:9]))
        assert type(estimator)(**estimator.get_params()).latents == 5
        assert "Assumed: linear mixing" in str(estimator.summary())


def test_equal_and_ragged_samples_have_the_same_moments(x64, squires):
    _, rows = squires
    x, labels = table(rows)
    # The estimator works in standard deviations of the columns.
    std = np.asarray(x, float).std(axis=0)
    moments = sample_moments(jnp.asarray(rows.x / std, float), 5)
    result = linear_disentanglement(moments)
    facade = LinearDisentanglement(5).fit(x, labels, observational=0)
    np.testing.assert_allclose(result.unmixing / std, facade.unmixing_, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "options", "named"),
    [
        ({"environment": None}, {}, "environment"),
        ({"environment": np.zeros(600)}, {}, "environment"),
        ({"environment": np.arange(600) % 5}, {}, "environment"),
        ({"environment": np.arange(600) == 0}, {}, "environment"),
        ({"observational": "none"}, {}, "observational"),
        ({"X": np.ones((600, 2))}, {}, "X"),
        ({"X": np.ones((600, 4))}, {}, "X"),
        ({}, {"latents": 1}, "latents"),
        ({}, {"latents": 4}, "environment"),
    ],
)
@pytest.mark.parametrize("estimator", [LinearDisentanglement, LSCALEI])
def test_wrong_input_is_named(estimator, change, options, named):
    good = {
        "X": np.random.default_rng(0).normal(size=(600, 4)),
        "environment": np.arange(600) % 4,
        "observational": 0,
    } | change
    with pytest.raises(InputError, match=f"^{named}: found"):
        estimator(**({"latents": 3} | options)).fit(good.pop("X"), good.pop("environment"), **good)
