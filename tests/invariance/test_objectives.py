"""The objectives against sums written out by hand, their limits, and what each of them is for."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from causalrep.invariance import (
    LinearModel,
    empirical_risk,
    fit_selected,
    group_dro,
    held_out_environments,
    held_out_rows,
    irm,
    logistic,
    mm_rex,
    rice,
    squared_error,
    v_rex,
)
from causalrep.training import fit

MODEL = LinearModel()
ENVIRONMENTS = {"environments": 4}


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    return {
        "x": jnp.asarray(x, jnp.float32),
        "y": jnp.asarray(x[:, 0] + rng.normal(size=40), jnp.float32),
        "environment": jnp.asarray(rng.integers(0, 3, 40)),  # label 3 does not occur
    }


W = jnp.array([0.5, -1.0, 0.2], jnp.float32)


def risks_by_hand(batch, loss=lambda p, y: (p - y) ** 2):
    x, y, e = (np.asarray(batch[name], np.float64) for name in ("x", "y", "environment"))
    p = x @ np.asarray(W, np.float64)
    return [(loss(p[e == k], y[e == k]), p[e == k], y[e == k]) for k in np.unique(e)]


def value(objective, batch):
    return float(objective.loss(W, jax.random.key(0), batch)[0])


def test_values_by_hand(batch):
    groups = risks_by_hand(batch)
    r = np.array([losses.mean() for losses, _, _ in groups])
    slopes = np.array([np.mean(2 * (p - y) * p) for _, p, y in groups])
    expected = {
        "irm": (irm(MODEL, penalty=0.7, **ENVIRONMENTS), np.mean(r + 0.7 * slopes**2)),
        "v_rex": (v_rex(MODEL, penalty=0.7, **ENVIRONMENTS), r.sum() + 0.7 * r.var(ddof=1)),
        "mm_rex": (mm_rex(MODEL, penalty=0.2, **ENVIRONMENTS), (1 - 3 * 0.2) * r.max() + 0.2 * r.sum()),
        "dro": (group_dro(MODEL, **ENVIRONMENTS), r.max()),
        "erm": (empirical_risk(MODEL), np.concatenate([losses for losses, _, _ in groups]).mean()),
    }
    for name, (objective, wanted) in expected.items():
        assert value(objective, batch) == pytest.approx(wanted, rel=1e-5), name


def test_irm_with_the_logistic_loss(batch):
    binary = {**batch, "y": (batch["y"] > 0).astype(jnp.float32)}
    sigmoid = lambda p: 1 / (1 + np.exp(-p))  # noqa: E731
    groups = risks_by_hand(binary, lambda p, y: np.log1p(np.exp(p)) - y * p)
    wanted = np.mean([losses.mean() + 2 * np.mean((sigmoid(p) - y) * p) ** 2 for losses, p, y in groups])
    result = value(irm(MODEL, penalty=2.0, loss=logistic, **ENVIRONMENTS), binary)
    assert result == pytest.approx(wanted, rel=1e-5)


def test_rice_by_hand(batch):
    rng = np.random.default_rng(1)
    copies = jnp.asarray(rng.normal(size=(40, 2, 3)), jnp.float32)
    x, y, t, w = (np.asarray(a, np.float64) for a in (batch["x"], batch["y"], copies, W))
    change = ((x @ w)[:, None] - t @ w) ** 2
    wanted = np.mean((x @ w - y) ** 2) + 0.3 * change.max(1).mean()
    assert value(rice(MODEL, penalty=0.3), {**batch, "transformed": copies}) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: irm(MODEL, penalty=0.5, **ENVIRONMENTS),
        lambda: v_rex(MODEL, penalty=0.5, **ENVIRONMENTS),
        lambda: mm_rex(MODEL, penalty=0.1, **ENVIRONMENTS),
        lambda: group_dro(MODEL, **ENVIRONMENTS),
        lambda: empirical_risk(MODEL),
    ],
)
def test_weight_zero_leaves_a_row_out(batch, make):
    kept = np.arange(40) < 30
    poisoned = {**batch, "y": jnp.where(kept, batch["y"], 1e3), "weight": jnp.asarray(kept, jnp.float32)}
    short = {name: values[:30] for name, values in batch.items()}
    objective = make()
    assert value(objective, poisoned) == pytest.approx(value(objective, short), rel=1e-5)
    gradient = jax.grad(lambda w: objective.loss(w, None, poisoned)[0])(W)
    assert np.isfinite(np.asarray(gradient)).all()


def test_one_environment_makes_them_empirical_risk(batch):
    alone = {**batch, "environment": jnp.zeros(40, int)}
    plain = value(empirical_risk(MODEL), alone)
    for objective in (group_dro(MODEL, **ENVIRONMENTS), v_rex(MODEL, penalty=5.0, **ENVIRONMENTS)):
        assert value(objective, alone) == pytest.approx(plain, rel=1e-6)
    assert value(mm_rex(MODEL, penalty=0.4, **ENVIRONMENTS), alone) == pytest.approx(plain, rel=1e-5)


def shortcut_data(strengths=(0.5, 2.0), noises=(0.5, 0.5), n=1000, seed=0):
    """A cause and a shortcut, an effect of y that differs between two environments: only the cause is invariant."""
    rng = np.random.default_rng(seed)
    environment = rng.integers(0, 2, n)
    cause = rng.normal(size=n) * np.where(environment == 1, 1.5, 1.0)
    y = cause + rng.normal(size=n)
    shortcut = np.choose(environment, strengths) * y + np.choose(environment, noises) * rng.normal(size=n)
    x = np.column_stack([cause, shortcut])
    arrays = {"x": x, "y": y}
    return {k: jnp.asarray(v, jnp.float32) for k, v in arrays.items()} | {"environment": jnp.asarray(environment)}


@pytest.mark.parametrize(("method", "design"), [(irm, ((0.5, 2.0), (0.5, 0.5))), (v_rex, ((1.0, 1.0), (0.5, 1.5)))])
def test_a_strong_penalty_drops_the_shortcut(method, design):
    """What IRM and REx are for; the empirical risk, the negative control, keeps the shortcut."""
    data, optimizer = shortcut_data(*design, n=4000), optax.adam(0.01)

    def train(objective):
        return np.asarray(fit(objective, optimizer, data, jax.random.key(1), steps=2500).params)

    result, control = train(method(MODEL, environments=2, penalty=300.0)), train(empirical_risk(MODEL))
    assert abs(result[1]) < 0.2 < 0.35 < abs(control[1])
    assert abs(result[0] - 1.0) < 0.2 < 0.35 < abs(control[0] - 1.0)


def test_selection_takes_the_candidate_that_does_well_on_held_out_environments():
    data = shortcut_data(n=600)
    held_out = data["environment"] == 1
    penalties = jnp.array([0.0, 1.0, 30.0])

    def risk(weights, rows):
        return jnp.sum(squared_error(data["x"] @ weights, data["y"]) * rows) / jnp.sum(rows)

    result = fit_selected(
        jax.random.key(0),
        lambda penalty: irm(MODEL, environments=2, penalty=penalty),
        optax.adam(0.03),
        data,
        penalties,
        held_out,
        risk,
        steps=100,
        batch_size=200,
    )
    assert result.risks.shape == (3,)
    assert float(result.penalty) == float(penalties[int(np.argmin(result.risks))])
    assert np.isfinite(np.asarray(result.params)).all()


def test_a_diverging_candidate_is_not_selected():
    data = shortcut_data(n=300)
    data["environment"] = jnp.arange(300)  # one row each: MM-REx with penalty 1 is unbounded below

    def risk(weights, rows):
        return jnp.sum(squared_error(data["x"] @ weights, data["y"]) * rows) / jnp.sum(rows)

    result = fit_selected(
        jax.random.key(0),
        lambda penalty: mm_rex(MODEL, environments=300, penalty=penalty),
        optax.adam(0.03),
        data,
        jnp.array([1.0, 0.001]),
        held_out_rows(jax.random.key(1), 300),
        risk,
        steps=200,
        batch_size=100,
    )
    assert float(result.penalty) == pytest.approx(0.001)


def test_held_out_sets():
    rows = held_out_rows(jax.random.key(0), 50)
    assert int(rows.sum()) == 10
    labels = jnp.asarray(np.repeat(np.arange(10), 5))
    held = np.asarray(held_out_environments(jax.random.key(0), labels)).reshape(10, 5)
    assert (held.all(1) | ~held.any(1)).all(), "environments are held out whole"
    assert held.any(1).sum() == 2


def test_linear_model_ignores_unused_columns():
    model = LinearModel(jnp.array([True, True, False]))
    w = model.init(jax.random.key(0), jnp.ones((4, 3)))
    assert float(w[2]) == 0.0
    assert (np.abs(np.asarray(w[:2])) <= 1 / np.sqrt(2)).all()
