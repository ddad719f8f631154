"""The product whose gradients are fast: the values and gradients of an ordinary one."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.nn import MLP, trained_mlp
from causalrep.nn.products import dense_product


@pytest.mark.parametrize("leading", [(7,), (2, 7), ()])
def test_is_the_ordinary_product(leading):
    keys = jax.random.split(jax.random.key(0), 3)
    x, kernel = jax.random.normal(keys[0], (*leading, 5)), jax.random.normal(keys[1], (5, 3))
    weights = jax.random.normal(keys[2], (*leading, 3))

    def scores(product):
        return jax.value_and_grad(lambda x, kernel: jnp.sum(weights * jnp.tanh(product(x, kernel))), argnums=(0, 1))

    result, expected = scores(dense_product)(x, kernel), scores(jnp.matmul)(x, kernel)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), result, expected)


def test_in_a_network_under_vmap():
    net, plain = trained_mlp((6, 1), nn.elu), MLP((6, 1), nn.elu)
    x = jax.random.normal(jax.random.key(1), (4, 9, 2))
    params = jax.vmap(net.init, in_axes=(0, None))(jax.random.split(jax.random.key(0), 4), x[0])

    def gradients(net):
        return jax.vmap(jax.grad(lambda params, x: jnp.sum(net.apply(params, x) ** 2)))(params, x)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), gradients(net), gradients(plain))
