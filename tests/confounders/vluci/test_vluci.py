"""The class VLUCI: recovery where U is identified, refusal where it is not, and input errors."""

import pickle

import jax
import numpy as np
import pytest

from causalrep.confounders import VLUCI, LatentModel, vluci_objective
from causalrep.confounders.vluci.fit import _two_step_start
from causalrep.confounders.vluci.model import apply
from causalrep.confounders.vluci.objective import Settings
from causalrep.data import hidden_confounder
from causalrep.errors import IdentificationWarning, InputError, NoIntervalError, NotFittedError
from causalrep.metrics import coverage
from causalrep.training.rows import Schedule

SMALL = {
    "hidden": (32, 32),
    "schedule": Schedule(epochs=100, batch_size=128, learning_rate=3e-3),
    "warm_start": 10,
}


class Regressions:
    """A user's own estimator: one regression per arm, with NumPy. VLUCI relies on its methods alone."""

    def fit(self, Y, T, *, X):
        ones = np.ones((len(Y), 1))
        self._arms = [np.linalg.lstsq(np.hstack([ones, X])[arm == T], Y[arm == T], rcond=None)[0] for arm in (0, 1)]
        self._x = X
        return self

    def effect(self, X):
        return np.hstack([np.ones((len(X), 1)), X]) @ (self._arms[1] - self._arms[0])

    def ate(self):
        return self.effect(self._x).mean()

    def ate_interval(self, alpha=0.05):
        assert alpha == 0.05
        return self.ate() - 0.196, self.ate() + 0.196


def _sample(**options):
    s = hidden_confounder(jax.random.key(5), n=1500, **options)
    return type(s)(*(np.asarray(a, np.float64) for a in s))


@pytest.fixture(scope="module")
def identified():
    s = _sample()
    model = VLUCI(latent="two_point", estimator=Regressions(), draws=4, families=(("gaussian", 1),), **SMALL)
    return s, model.fit(s.y, s.t, X=s.x)


def test_a_two_point_confounder_is_recovered_and_the_effect_with_it(identified):
    s, model = identified
    report = model.identification_
    assert report.ate_without > 4.5
    assert abs(model.ate() - 2) < 0.3
    assert np.corrcoef(model.posterior_mean_[:, 0], s.u)[0, 1] > 0.95
    assert np.sqrt(np.mean((model.effect() - (s.mu1 - s.mu0)) ** 2)) < 0.5
    assert 0.8 < coverage(*model.counterfactual_interval(0.1), s.y_other) < 0.97
    # A new unit's U is not known, and the effect does not depend on it.
    assert np.abs(model.effect(s.x[:50]) - (s.mu1 - s.mu0)[:50]).mean() < 0.5


def test_the_interval_and_the_report_of_an_identified_model(identified):
    _, model = identified
    assert model.identification_.identified, model.identification_.flags
    low, high = model.ate_interval()
    assert low < model.ate() < high
    # The estimator's own standard error is 0.1; draws of U that differ add to it.
    assert 0.1 <= model.completed_.average.se < 0.3
    text = str(model.summary())
    assert "finite mixture" in text
    assert "conditional on the model of U being right" in text
    with pytest.raises(NoIntervalError, match="on the treated"):
        model.att_interval()
    assert pickle.loads(pickle.dumps(model)).ate() == model.ate()


def test_a_gaussian_confounder_is_never_one_answer():
    s = _sample(latent="gaussian")
    model = VLUCI(latent="gaussian", use="decoder", estimator=Regressions(), families=(), **SMALL)
    with pytest.warns(IdentificationWarning, match="not identified"):
        model.fit(s.y, s.t, X=s.x)
    with pytest.raises(NoIntervalError, match="not identified"):
        model.ate_interval()
    text = str(model.summary())
    assert "NOT identified" in text
    assert "range is not known" in text
    assert model.effect(s.x[:3]).shape == (3,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent": "uniform"}, "latent: found 'uniform'"),
        ({"latent": "gaussian", "dim": 0}, "dim: found 0"),
        ({"latent": "gaussian", "dim": 2, "posterior": "exact"}, "posterior: found 'exact'"),
        ({"latent": "two_point", "dim": 9}, "dim: found 9"),
        ({"latent": "gaussian", "use": "all"}, "use: found 'all'"),
        ({"latent": "gaussian", "objective": "both"}, "objective: found 'both'"),
        ({"latent": "gaussian", "families": "gaussian"}, "families: found 'gaussian'"),
        ({"latent": "gaussian", "hidden": 64}, "hidden: found 64"),
        ({"latent": "gaussian", "seed": 1.5}, "seed: found 1.5"),
        ({"latent": "gaussian", "draws": 1}, "draws: found 1"),
        ({"latent": "gaussian", "warm_start": 300}, "warm_start: found 300"),
        ({"latent": "gaussian", "schedule": Schedule(validation_share=0.0)}, "schedule.validation_share: found 0"),
        ({"latent": "gaussian", "schedule": Schedule(steps=9)}, "schedule.steps: found 9"),
        ({"latent": "gaussian", "estimator": Regressions}, "estimator"),
        ({"latent": "gaussian", "estimator": "OLS"}, "estimator: found 'OLS'"),
        ({"latent": "gaussian", "outcome": "bernoulli"}, "Y: found values other than 0 and 1"),
    ],
)
def test_bad_input(options, message):
    s = _sample()
    with pytest.raises(InputError, match=message):
        VLUCI(**options).fit(s.y, s.t, X=s.x)


def test_a_confounder_that_changes_nothing_is_left_unused_and_said_to_be():
    s = _sample(strength=0.0)
    model = VLUCI(latent="two_point", estimator=Regressions(), draws=4, families=(("gaussian", 1),), **SMALL)
    with pytest.warns(IdentificationWarning):
        model.fit(s.y, s.t, X=s.x)
    # Negative control: nothing is confounded, so there is nothing to improve, and the answer may not move far.
    assert abs(model.identification_.ate_without - 2) < 0.2
    assert abs(model.ate() - 2) < 0.5
    assert not model.identification_.identified


@pytest.mark.parametrize("strength", [3.0, -3.0])
def test_the_two_step_start_has_the_sign_of_the_confounding(strength):
    s = hidden_confounder(
        jax.random.key(0), n=4000, latent="gaussian", treatment="probit", excluded=1.0, strength=strength
    )
    rows = {"x": s.x, "t": s.t, "y": s.y}
    model = LatentModel("gaussian", 2, hidden=(4,))
    start = _two_step_start(vluci_objective(model, Settings()), model, jax.random.key(1), rows)
    us = [np.tile(u, (5, 1)) for u in ([0.0, 0.0], [1.0, 0.0], [0.0, 1.0])]
    at = [apply(model, start["networks"], "treatment_logit", s.x[:5], u) for u in us]
    np.testing.assert_allclose(at[1] - at[0], np.sign(strength), atol=1e-5)
    np.testing.assert_allclose(at[2], at[0], atol=1e-6)


def test_habits():
    model = VLUCI(latent="gaussian", dim=2)
    assert model.get_params()["dim"] == 2
    with pytest.raises(NotFittedError):
        _ = model.identification_
    with pytest.raises(TypeError, match="latent"):
        VLUCI()
