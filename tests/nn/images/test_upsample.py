"""The transposed convolution beside flax's: the same function of the same parameters."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.errors import InputError
from causalrep.nn import ConvTranspose
from tests.nn.layers import assert_same_layer


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
    assert_same_layer(ours, theirs, image)


def test_the_same_seed_starts_at_the_same_parameters():
    image = jnp.ones((1, 3, 3, 2))
    ours = ConvTranspose(4).init(jax.random.key(0), image)
    theirs = nn.ConvTranspose(4, (3, 3), strides=(2, 2)).init(jax.random.key(0), image)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_an_unknown_padding_is_refused():
    with pytest.raises(InputError, match=r"^padding: found 'CIRCULAR'; expected 'SAME', 'VALID' or pairs"):
        ConvTranspose(1, padding="CIRCULAR").init(jax.random.key(0), jnp.ones((1, 2, 2, 1)))
