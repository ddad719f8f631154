"""Objectives that change with the number of updates."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from causalrep.training import clocked, fit, ticking


def test_the_loss_sees_every_update_count_once_and_the_networks_train_as_before():
    data = {"x": jnp.arange(6.0)}
    objective = clocked(
        lambda key, batch: {"a": jnp.zeros(())},
        lambda params, key, batch, updates: (jnp.mean((batch["x"] - params["a"]) ** 2), {"updates": updates}),
    )
    result = fit(objective, ticking(optax.sgd(0.1)), data, jax.random.key(0), steps=7)
    assert result.history["updates"].tolist() == list(range(7))
    assert int(result.params["updates"]) == 7
    np.testing.assert_allclose(result.params["networks"]["a"], 2.5 * (1 - 0.8**7), rtol=1e-5)
