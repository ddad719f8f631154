"""The transposed convolution beside flax's: the same function of the same parameters."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.errors import InputError
from causalrep.nn import ConvTranspose


@pytest.mark.parametrize(
    ("shape", "kernel", "padding"),
    [
        ((2, 7, 5, 3), (3, 3), "SAME"),
        ((1, 1, 4, 2), (3, 3), "SAME"),
        ((2, 4, 3, 2), (4, 4), "SAME"),
        ((2, 4, 3, 2), (2, 1), "SAME"),
        ((2, 3, 2, 2), (6, 4), "VALID"),
        ((2, 3, 2, 2), (2, 1), "VALID"),
        ((2, 5, 4, 2), (4, 5), ((2, 2), (1, 3))),
    ],
)
def test_it_is_flax_s_layer_with_its_gradients(x64, shape, kernel, padding):
    image = jax.random.normal(jax.random.key(0), shape)
    ours = ConvTranspose(4, kernel, padding)
    theirs = nn.ConvTranspose(4, kernel, strides=(2, 2), padding=padding, param_dtype=image.dtype)
    params = theirs.init(jax.random.key(1), image)
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)
    assert jax.tree.structure(ours.init(jax.random.key(1), image)) == jax.tree.structure(params)

    def value(module):
        def loss(params, image):
            out = module.apply(params, image)
            return jnp.sum(jnp.sin(jnp.arange(out.size).reshape(out.shape)) * jnp.tanh(out)), out

        return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(params, image)

    (_, found), gradients = value(ours)
    (_, expected), expected_gradients = value(theirs)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-12)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), gradients, expected_gradients)


def test_the_same_seed_starts_at_the_same_parameters():
    image = jnp.ones((1, 3, 3, 2))
    ours = ConvTranspose(4).init(jax.random.key(0), image)
    theirs = nn.ConvTranspose(4, (3, 3), strides=(2, 2)).init(jax.random.key(0), image)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_an_unknown_padding_is_refused():
    with pytest.raises(InputError, match=r"^padding: found 'CIRCULAR'; expected 'SAME', 'VALID' or pairs"):
        ConvTranspose(1, padding="CIRCULAR").init(jax.random.key(0), jnp.ones((1, 2, 2, 1)))
