"""Convolution as matrix products, beside flax's: the same function of the same parameters, on every platform."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causalrep.errors import InputError
from causalrep.nn import Conv, ConvTranspose, convolve
from tests.nn.layers import assert_same_layer


@pytest.mark.parametrize(
    ("shape", "kernel", "strides", "padding"),
    [
        ((2, 8, 6, 3), (3, 3), (2, 2), "SAME"),
        ((2, 8, 6, 20), (3, 3), (2, 2), "SAME"),  # wide enough for a product a row
        ((2, 7, 5, 20), (3, 2), (1, 1), "SAME"),
        ((1, 9, 8, 3), (4, 4), (2, 2), 1),
        ((1, 9, 8, 20), (4, 4), (3, 2), 0),
        ((2, 5, 5, 3), (5, 4), (1, 2), "VALID"),
        ((2, 6, 5, 20), (2, 3), (2, 1), ((0, 3), (2, 1))),
        ((1, 3, 2, 2), (1, 1), (2, 2), "VALID"),
    ],
)
def test_it_is_flax_s_layer_with_its_gradients(x64, shape, kernel, strides, padding):
    image = jax.random.normal(jax.random.key(0), shape)
    ours = Conv(4, kernel, strides, padding)
    theirs = nn.Conv(4, kernel, strides=strides, padding=padding, param_dtype=image.dtype)
    assert_same_layer(ours, theirs, image)


def test_the_same_seed_starts_at_the_same_parameters():
    image = jnp.ones((1, 4, 4, 2))
    ours = Conv(4, strides=(2, 2)).init(jax.random.key(0), image)
    theirs = nn.Conv(4, (3, 3), strides=(2, 2)).init(jax.random.key(0), image)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.parametrize("layer", [Conv(4, strides=(2, 2)), ConvTranspose(4)])
def test_parameters_are_float32_unless_asked(x64, layer):
    image = jnp.ones((1, 4, 4, 2))  # float64
    params, key = layer.init(jax.random.key(0), image), jax.random.key(0)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {"float32"}
    assert layer.apply(params, image).dtype.name == "float64"
    assert layer.apply(params, image.astype(jnp.float32)).dtype.name == "float32"
    asked = layer.clone(param_dtype=jnp.float64).init(key, image)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(asked)} == {"float64"}


def test_many_kernels_at_once_are_one_after_the_other():
    images = jax.random.normal(jax.random.key(0), (3, 2, 6, 6, 4))
    kernels = jax.random.normal(jax.random.key(1), (3, 3, 3, 4, 5))
    together = jax.vmap(lambda image, kernel: convolve(image, kernel, (2, 2)))(images, kernels)
    for image, kernel, result in zip(images, kernels, together, strict=True):
        np.testing.assert_allclose(result, convolve(image, kernel, (2, 2)), atol=1e-5)


def test_narrow_floats_are_summed_as_wide_ones():
    image = jax.random.normal(jax.random.key(0), (1, 8, 8, 64))
    kernel = jax.random.normal(jax.random.key(1), (5, 5, 64, 4))
    result = convolve(image.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16))
    assert result.dtype == jnp.bfloat16
    exact = convolve(*(value.astype(jnp.bfloat16).astype(jnp.float32) for value in (image, kernel)))
    np.testing.assert_allclose(result.astype(jnp.float32), exact, rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize(
    ("platform", "operation"), [("cpu", "dot_general"), ("tpu", "convolution"), ("cuda", "convolution")]
)
def test_only_cpus_multiply_matrices(platform, operation):
    def loss(image, kernel):
        return jnp.sum(jnp.square(convolve(image, kernel, (2, 2))))

    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, 8, 8, 4), (3, 3, 4, 8))]
    for function in (loss, jax.grad(loss, (0, 1))):
        text = jax.jit(function).trace(*shapes).lower(lowering_platforms=(platform,)).as_text()
        assert f"stablehlo.{operation}" in text
        assert f"stablehlo.{({'dot_general', 'convolution'} - {operation}).pop()}" not in text


def test_an_unknown_padding_is_refused():
    with pytest.raises(InputError, match=r"^padding: found 'CIRCULAR'; expected 'SAME', 'VALID', a number or pairs"):
        Conv(1, padding="CIRCULAR").init(jax.random.key(0), jnp.ones((1, 2, 2, 1)))


def test_a_kernel_beyond_the_image_is_refused():
    with pytest.raises(InputError, match=r"^kernel: found \(3, 3\); expected at most the image, \(4, 2\)"):
        convolve(jnp.ones((1, 4, 2, 1)), jnp.ones((3, 3, 1, 1)), padding="VALID")
    with pytest.raises(InputError, match=r"^kernel: found 2 channels; expected the image's 1"):
        convolve(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 2, 1)))
