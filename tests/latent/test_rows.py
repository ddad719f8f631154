"""Rows with codes of environments: weights, validation rows, and fits that keep the best of several starts."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from causalrep.latent.environments.rows import coded_rows, fit_best, hold_out
from causalrep.training import Objective, Schedule

CODES = jnp.array([0] * 30 + [1] * 10)
ROWS = coded_rows(np.random.default_rng(0).normal(size=(40, 2)), CODES, 2)


def test_environments_have_the_same_weight():
    assert [float(ROWS.weight[code == CODES].sum()) for code in (0, 1)] == [20.0, 20.0]


def test_every_row_is_held_out_or_trained_on():
    train, validation = hold_out(jax.random.key(0), ROWS, 0.2)
    assert (len(train.x), len(validation.x)) == (32, 8)
    together = jnp.concatenate([train.x, validation.x])
    chex.assert_trees_all_close(jnp.sort(together, axis=0), jnp.sort(ROWS.x, axis=0))
    assert not bool(jnp.all(together == ROWS.x)), "in random order"


def test_the_best_start_is_kept_and_a_diverged_one_is_not():
    # The loss falls without bound from negative starts, until it is not finite; from positive starts it is (x - 1)^2.
    def init(key, batch):
        return jax.random.normal(key)

    def loss(params, key, batch):
        return jnp.where(params < 0, jnp.log(params + 0.5), (params - 1.0) ** 2), {}

    schedule = Schedule(steps=200, batch_size=10, learning_rate=0.1, restarts=8)
    result = fit_best(Objective(init, loss), schedule, jax.random.key(0), ROWS, ROWS)
    assert not bool(result.diverged)
    np.testing.assert_allclose(result.params, 1.0, atol=0.05)


def test_the_same_objective_and_schedule_are_compiled_once():
    # Traced for the gradient and for the validation loss; never again for other keys and rows of the same shape.
    traces = []

    def loss(params, key, batch):
        traces.append(None)
        return jnp.mean((batch.x - params) ** 2), {}

    objective = Objective(lambda key, batch: jnp.zeros(2), loss)
    fit_best(objective, Schedule(steps=40), jax.random.key(0), ROWS, ROWS)
    once = len(traces)
    fit_best(objective, Schedule(steps=40), jax.random.key(1), ROWS, ROWS)
    assert len(traces) == once
