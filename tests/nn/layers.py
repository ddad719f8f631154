"""A layer of ours beside flax's."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


def assert_same_layer(ours: nn.Module, theirs: nn.Module, image: jax.Array) -> None:
    """The same parameters make the same output, with the same gradients of a loss by parameters and by image."""
    # Whole functions are compiled: one by one, their operations would be some fifty programs for each shape.
    params = jax.jit(lambda key: jax.tree.map(lambda leaf: leaf + 0.1, theirs.init(key, image)))(jax.random.key(1))
    assert jax.tree.structure(jax.eval_shape(ours.init, jax.random.key(1), image)) == jax.tree.structure(params)

    def value(module):
        def loss(params, image):
            out = module.apply(params, image)
            return jnp.sum(jnp.sin(jnp.arange(out.size).reshape(out.shape)) * jnp.tanh(out)), out

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(params, image)

    (_, result), gradients = value(ours)
    (_, expected), expected_gradients = value(theirs)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, atol=1e-12)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), gradients, expected_gradients)
