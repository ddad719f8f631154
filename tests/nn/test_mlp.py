"""The perceptron: its formula, its dropout, and many at once."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.nn import MLP


@pytest.mark.parametrize("activate_final", [False, True])
def test_is_the_formula(activate_final):
    net = MLP((4, 2), activation=nn.tanh, activate_final=activate_final)
    x = jax.random.normal(jax.random.key(1), (3, 5))
    params = net.init(jax.random.key(0), x)["params"]
    hidden = jnp.tanh(x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"])
    out = hidden @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]
    expected = jnp.tanh(out) if activate_final else out
    np.testing.assert_allclose(net.apply({"params": params}, x), expected, atol=1e-6)


def test_dropout_acts_in_training_alone():
    net, x = MLP((64, 1), dropout=0.5), jnp.ones((2, 3))
    params = net.init(jax.random.key(0), x)
    keys = jax.random.split(jax.random.key(1))
    noisy = [net.apply(params, x, train=True, rngs={"dropout": key}) for key in keys]
    assert not np.allclose(noisy[0], noisy[1])
    np.testing.assert_array_equal(net.apply(params, x), net.apply(params, x))


def test_many_networks_are_one_program():
    net, x = MLP((8, 1)), jax.random.normal(jax.random.key(1), (6, 2))
    keys = jax.random.split(jax.random.key(0), 4)
    params = jax.vmap(lambda key: net.init(key, x))(keys)
    together = jax.vmap(lambda p: net.apply(p, x))(params)
    alone = jnp.stack([net.apply(net.init(key, x), x) for key in keys])
    np.testing.assert_allclose(together, alone, atol=1e-6)
