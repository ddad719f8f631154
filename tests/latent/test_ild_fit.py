"""Fits of ILD: both procedures, the smoothed density, and the façade."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from causalrep.data import ild_simulation
from causalrep.errors import InputError, NotFittedError
from causalrep.latent import (
    ILD,
    ILDFamily,
    Schedule,
    counterfactual_error,
    fit_ild,
    fit_ild_annealed,
    log_likelihood,
    true_counterfactuals,
)
from causalrep.latent.ild.annealing import changed
from causalrep.latent.ild.evaluation import true_model
from causalrep.latent.ild.fit import shuffled_blocks
from causalrep.latent.ild.model import unmix
from causalrep.latent.ild.objective import ILDRows

QUICK = {"starts": 4, "rounds": 2, "schedule": Schedule(steps=600, batch_size=200)}


@pytest.fixture(scope="module")
def data():
    """Three latents, the last one intervened on, two domains."""
    return ild_simulation(1, domains=2, latents=3, intervened=(2,), n=3000)


@pytest.fixture(scope="module")
def fitted(data):
    return ILD(k=1, **QUICK).fit(data.train.x, np.where(data.train.domain == 0, "north", "south"))


def rows(sample):
    return ILDRows(jnp.asarray(sample.x, jnp.float32), jnp.asarray(sample.domain, jnp.int32))


def errors(data, model):
    answers = true_counterfactuals(data.truth, data.test).astype(np.float32)
    return [float(counterfactual_error(m, data.test, answers)) for m in (model, None)]


def test_ours_finds_the_truth_where_it_is_easy(data, fitted):
    error, identity = errors(data, fitted.model_)
    assert error < 0.1 * identity
    test = rows(data.test)
    oracle = float(log_likelihood(true_model(data.truth), test.x, test.domain).mean())
    own = fitted.score(data.test.x, np.where(data.test.domain == 0, "north", "south"))
    assert own == pytest.approx(oracle, abs=0.15)
    assert own < oracle + 0.05, "no model beats the truth on new rows, but for noise"


@pytest.mark.slow
def test_the_released_procedure_learns(data):
    family = ILDFamily("relax-can", 2, 3, 1, monotone=False)
    train, validation = rows(data.train), rows(data.validation)
    fits = [
        fit_ild(jax.random.key(0), family, train, validation, schedule=Schedule(steps=steps)) for steps in (100, 2000)
    ]
    assert float(fits[1].final_loss) < float(fits[0].final_loss) - 0.1
    assert fits[1].validation.shape == (20,)
    params = family.model(fits[1].params)
    assert -float(log_likelihood(params, *validation).mean()) == pytest.approx(float(fits[1].final_loss), abs=1e-3)
    again = fit_ild(jax.random.key(0), family, train, validation, schedule=Schedule(steps=100))
    assert float(again.final_loss) == float(fits[0].final_loss)


def test_later_rounds_never_lose_what_was_found(data):
    # The façade's family, sizes and plan: its compiled program serves.
    family, every = ILDFamily("relax-can", 2, 3, 1), rows(data.train)
    train, validation = ILDRows(every.x[600:], every.domain[600:]), ILDRows(every.x[:600], every.domain[:600])
    result = fit_ild_annealed(jax.random.key(5), family, train, validation, **QUICK)
    assert result.losses.shape == (2, 4)
    assert float(result.best_loss) == float(result.losses.min())
    loss = -log_likelihood(family.model(result.params), *validation).mean()
    assert float(loss) == pytest.approx(float(result.best_loss), abs=1e-4)


def test_blocks_hold_every_row_once(data):
    blocks, size = shuffled_blocks(jax.random.key(0), rows(data.train), 500)
    assert size == 20
    assert blocks.x.shape == (300, 20, 3)
    together = np.sort(np.asarray(blocks.x).reshape(-1, 3), axis=0)
    np.testing.assert_array_equal(together, np.sort(np.asarray(rows(data.train).x), axis=0))
    shares = np.asarray(blocks.domain).mean(axis=1)
    assert np.all((shares > 0) & (shares < 1)), "every block mixes domains"


def test_smoothing_is_a_density_of_its_own_and_vanishes_in_the_limit(x64, data):
    model, test = true_model(data.truth), data.test
    x, domain = jnp.asarray(test.x[:40]), jnp.asarray(test.domain[:40])
    one = lambda x: unmix(model.mixing, x[None], 0.3)[0][0, 0]  # noqa: E731
    jacobians = jax.vmap(lambda x: jnp.linalg.slogdet(jax.jacobian(one)(x))[1])(x)
    np.testing.assert_allclose(unmix(model.mixing, x, 0.3)[1][:, 0], jacobians, atol=1e-9)
    sharp = log_likelihood(model, x, domain)
    np.testing.assert_allclose(log_likelihood(model, x, domain, 1e-9), sharp, atol=1e-6)
    assert float(jnp.abs(log_likelihood(model, x, domain, 0.5) - sharp).max()) > 0.05


def test_turning_a_latent_over_keeps_a_linear_model(x64):
    # With slope 1 nothing but names changes: the same densities, whichever latent is turned.
    family = ILDFamily("relax-can", 2, 4, 2, slope=1.0)
    params = family.init(jax.random.key(0))
    x, domain = jax.random.normal(jax.random.key(1), (30, 4)), jnp.arange(30) % 2
    before, turned = log_likelihood(family.model(params), x, domain), 0
    turn = jax.jit(lambda key: changed(key, family, params))
    for number in range(20):
        other = turn(jax.random.key(number))
        if not bool(jnp.allclose(jnp.abs(other.matrix), jnp.abs(params.matrix))):
            continue  # latents were exchanged
        np.testing.assert_allclose(log_likelihood(family.model(other), x, domain), before, atol=1e-9)
        turned += 1
    assert turned > 5


def test_the_facade_speaks_in_the_users_units_and_labels(data, fitted):
    x, domain = data.test.x, np.where(data.test.domain == 0, "north", "south")
    assert fitted.domains_ == ["north", "south"]
    np.testing.assert_allclose(fitted.counterfactual(x, domain, domain), x, atol=1e-3)
    there = fitted.counterfactual(x, domain, "south")
    np.testing.assert_allclose(there[domain == "south"], x[domain == "south"], atol=1e-3)
    assert np.abs(there - x)[domain == "north"].mean() > 0.1
    noise = fitted.noise(x, domain)
    np.testing.assert_allclose(noise.mean(axis=0), 0.0, atol=0.15)
    np.testing.assert_allclose(noise.std(axis=0), 1.0, atol=0.15)
    assert fitted.transform(x).shape == x.shape
    assert fitted.validation_nll_ == pytest.approx(-fitted.score(x, domain), abs=0.2)
    text = str(fitted.summary())
    assert "sparse mechanism shifts" in text
    assert "identity map" in text


def test_the_facade_has_scikit_learns_habits(data, fitted):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(data.test.x), fitted.transform(data.test.x))
    assert ILD(**fitted.get_params()).k == 1
    frame = pd.DataFrame(data.test.x, columns=["a", "b", "c"])
    np.testing.assert_array_equal(fitted.transform(frame), fitted.transform(data.test.x))
    with pytest.raises(NotFittedError):
        ILD().transform(data.test.x)


def test_k_is_the_fewest_that_fit_as_well_as_the_dense_model(data):
    fits = {"k=1": (None, 2.3), "k=2": (None, 2.08), "dense": (None, 2.0)}
    assert ILD(tolerance=0.1)._choose(fits) == "k=2"
    assert ILD(tolerance=0.5)._choose(fits) == "k=1"
    assert ILD(tolerance=0.0)._choose(fits) == "dense"


@pytest.mark.slow
def test_k_is_found_where_it_is_clear(data):
    result = ILD("auto", **QUICK).fit(data.train.x, data.train.domain)
    assert result.k_ == 1
    assert list(result.path_) == ["k=1", "k=2", "dense"]


@pytest.mark.parametrize(
    ("options", "change", "named"),
    [
        ({"k": 3}, {}, "k"),
        ({"k": 1.5}, {}, "k"),
        ({"kind": "sparse", "k": 1}, {}, "kind"),
        ({"schedule": Schedule(steps=0)}, {}, "schedule.steps"),
        ({}, {"domain": np.zeros(60)}, "domain"),
        ({}, {"domain": np.zeros(59)}, "domain"),
        ({}, {"domain": np.arange(60) == 0}, "domain"),
        ({}, {"X": np.ones((60, 3))}, "X"),
        ({}, {"X": np.full((60, 3), np.nan)}, "X"),
        ({}, {"X": np.ones((60, 1))}, "X"),
    ],
)
def test_wrong_input_is_named(options, change, named):
    good = {"X": np.random.default_rng(0).normal(size=(60, 3)), "domain": np.arange(60) % 2}
    with pytest.raises(InputError, match=f"^{named}: found"):
        ILD(**options).fit(**(good | change))


def test_wrong_questions_are_named(data, fitted):
    with pytest.raises(InputError, match="target: found unknown labels"):
        fitted.counterfactual(data.test.x, "north", "east")
    with pytest.raises(InputError, match="domain: found 2 labels"):
        fitted.counterfactual(data.test.x, ["north", "south"], "south")
    with pytest.raises(InputError, match="X: found 2 columns"):
        fitted.transform(data.test.x[:, :2])
