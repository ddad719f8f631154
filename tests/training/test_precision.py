"""Fewer bits and less memory: what mixed precision and rematerialization change, and what they do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.errors import InputError
from causalrep.training import Objective, fit, mixed_precision, rematerialised
from tests.training.problems import ADAM, OBJECTIVE, rows

KEY = jax.random.key(0)


def test_compute_is_bfloat16_and_parameters_stay_float32():
    seen = []

    def loss(params, key, batch):
        seen.extend([params["in"].dtype, batch["x"].dtype])
        return OBJECTIVE.loss(params, key, batch)

    half = mixed_precision(Objective(OBJECTIVE.init, loss))
    data = rows(256)
    fitted = fit(half, ADAM, data, KEY, steps=100, batch_size=32)
    exact = fit(OBJECTIVE, ADAM, data, KEY, steps=100, batch_size=32)
    assert set(seen) == {jnp.dtype(jnp.bfloat16)}
    assert fitted.params["in"].dtype == fitted.history["loss"].dtype == jnp.float32
    late, exactly = (np.asarray(result.history["loss"][-20:]).mean() for result in (fitted, exact))
    assert abs(late - exactly) / exactly < 0.05
    assert not np.array_equal(fitted.history["loss"], exact.history["loss"])


def test_rematerialization_changes_memory_and_not_gradients():
    def loss(params, key, batch):
        x = batch["x"] @ params["in"]
        for _ in range(20):
            x = jnp.tanh(x) * 1.1
        return jnp.mean((x @ params["out"]) ** 2), {}

    plain = Objective(OBJECTIVE.init, loss)
    spare = rematerialised(plain, "nothing")
    data = rows(20_000)
    params = plain.init(KEY, data)

    def gradient(objective):
        return jax.jit(jax.grad(objective.loss, has_aux=True))

    expected, fitted = (gradient(objective)(params, KEY, data)[0] for objective in (plain, spare))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), fitted, expected)
    jaxpr = str(jax.make_jaxpr(gradient(spare))(params, KEY, data))
    assert "remat" in jaxpr or "checkpoint" in jaxpr


def test_unknown_choices_are_named():
    with pytest.raises(InputError, match="dtype: found int32"):
        mixed_precision(OBJECTIVE, jnp.int32)
    with pytest.raises(InputError, match="policy"):
        rematerialised(OBJECTIVE, "everything")
