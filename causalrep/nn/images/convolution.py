"""Convolution that is fast on a CPU too, inside compiled loops and out."""

from collections.abc import Sequence
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.errors import InputError
from causalrep.nn.products import dense_product

Padding = str | int | Sequence[tuple[int, int]]
# Values under one row of the kernel below which a product over them is too thin to be fast.
THIN = 32


def convolve(
    image: Float[Array, "n height width channels"],
    kernel: Float[Array, "rows columns channels features"],
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "SAME",
) -> Float[Array, "n tall wide features"]:
    """``jax.lax.conv_general_dilated`` of pictures; on CPUs as matrix products.

    XLA's CPU backend (jaxlib 0.10.2) multiplies by the zeros of a strided convolution's gradient, and inside a loop it
    leaves its fast kernel for a plain one, ten times slower. As one product for each row of the kernel, or with
    few channels one product of all windows, a convolution is as fast in a scan of training steps as outside of it, and
    so is its gradient. Other platforms convolve. The derivative is of reverse mode alone.

    Args:
        image: Input.
        kernel: Kernel.
        strides: Steps between windows, by rows and by columns.
        padding: ``"SAME"``, ``"VALID"``, one number for all sides, or numbers before and after, by rows and by columns.

    Raises:
        InputError: If the padding is of another kind, or the kernel does not fit the channels or the padded image.

    >>> image, kernel = jnp.arange(32.0).reshape(1, 4, 4, 2), jnp.arange(54.0).reshape(3, 3, 2, 3)
    >>> direct = jax.lax.conv_general_dilated(image, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    >>> bool(jnp.array_equal(convolve(image, kernel, (2, 2)), direct))
    True
    """
    if image.shape[-1] != kernel.shape[2]:
        raise InputError("kernel", found=f"{kernel.shape[2]} channels", expected=f"the image's {image.shape[-1]}")
    sizes, taps = image.shape[1:3], kernel.shape[:2]
    pads = pads_of(sizes, taps, strides, padding)
    if any(size + sum(pad) < tap for size, pad, tap in zip(sizes, pads, taps, strict=True)):
        raise InputError("kernel", found=f"{taps}", expected=f"at most the image, {sizes} and padded by {pads}")
    return _convolve(image, kernel, tuple(strides), pads)


class Conv(nn.Module):
    """``flax.linen.Conv`` of pictures: same parameters, same values, by :func:`convolve`.

    Attributes:
        features: Channels of the output.
        kernel_size: Height and width of the kernel.
        strides: As in :func:`convolve`.
        padding: As in :func:`convolve`.
    """

    features: int
    kernel_size: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "SAME"

    @nn.compact
    def __call__(self, image: Float[Array, "n height width channels"]) -> Float[Array, "n tall wide features"]:
        """The filtered image."""
        kernel, bias = kernel_and_bias(self, image.shape[-1])
        return convolve(image, kernel, self.strides, self.padding) + bias


def kernel_and_bias(layer: nn.Module, channels: int) -> tuple[jax.Array, jax.Array]:
    """The parameters of a layer with ``kernel_size`` and ``features``, as flax's convolutions start them."""
    kernel = layer.param("kernel", nn.initializers.lecun_normal(), (*layer.kernel_size, channels, layer.features))
    return kernel, layer.param("bias", nn.initializers.zeros_init(), (layer.features,))


def pads_of(
    sizes: Sequence[int], taps: Sequence[int], strides: Sequence[int], padding: Padding
) -> tuple[tuple[int, int], ...]:
    """What is padded before and after, by rows and by columns."""
    if isinstance(padding, str):
        if padding not in ("SAME", "VALID"):
            raise InputError("padding", found=repr(padding), expected="'SAME', 'VALID', a number or pairs of numbers")
        return tuple(jax.lax.padtype_to_pads(sizes, taps, strides, padding))
    if isinstance(padding, int):
        return ((padding, padding),) * len(sizes)
    return tuple((before, after) for before, after in padding)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(image, kernel, strides, pads):
    return _on_platform(image, kernel, strides, pads)


def _forward(image, kernel, strides, pads):
    return _on_platform(image, kernel, strides, pads), (image, kernel)


def _backward(strides, pads, kept, gradient):
    def gradients(convolution):
        return lambda image, kernel, g: jax.vjp(lambda *of: convolution(*of, strides, pads), image, kernel)[1](g)

    return jax.lax.platform_dependent(*kept, gradient, cpu=gradients(_products), default=gradients(_native))


_convolve.defvjp(_forward, _backward)


def _on_platform(image, kernel, strides, pads):
    return jax.lax.platform_dependent(
        image, kernel, cpu=lambda *of: _products(*of, strides, pads), default=lambda *of: _native(*of, strides, pads)
    )


def _native(image, kernel, strides, pads):
    return jax.lax.conv_general_dilated(image, kernel, strides, pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _products(image, kernel, strides, pads):
    rows, columns, channels, features = kernel.shape
    n = len(image)
    # One picture for each place within a stride, so that what a tap sees is a plain slice of one of them.
    axes = zip(image.shape[1:3], kernel.shape[:2], strides, pads, strict=True)
    steps, whole, edges = zip(*(_cut(*axis) for axis in axes), strict=True)
    image = jax.lax.pad(image, jnp.zeros((), image.dtype), ((0, 0, 0), *((*edge, 0) for edge in edges), (0, 0, 0)))
    image = image.reshape(n, whole[0], strides[0], whole[1], strides[1], channels).transpose(2, 4, 0, 1, 3, 5)
    image = jax.lax.optimization_barrier(image)

    def seen_by(row: int, column: int) -> jax.Array:
        (down, place), (right, side) = divmod(row, strides[0]), divmod(column, strides[1])
        return image[place, side, :, down : down + steps[0], right : right + steps[1]]

    # Sums of narrow floats are kept wide until they are whole.
    product = partial(dense_product, preferred_element_type=jnp.promote_types(image.dtype, jnp.float32))
    # A row of the kernel at a time, or all rows where that would be a thin product.
    together = [range(row, row + 1) for row in range(rows)] if channels * columns >= THIN else [range(rows)]
    found = 0
    for some in together:
        windows = [seen_by(row, column) for row in some for column in range(columns)]
        weights = kernel[some.start : some.stop].reshape(-1, features)
        found = found + product(jnp.concatenate(windows, axis=-1), weights)
    return found.astype(image.dtype)


def _cut(size: int, taps: int, stride: int, pad: tuple[int, int]) -> tuple[int, int, tuple[int, int]]:
    """One axis: how many windows, how many strides are met by them, and the padding up to so many strides."""
    windows = (size + sum(pad) - taps) // stride + 1
    met = windows + (taps - 1) // stride
    return windows, met, (pad[0], stride * met - size - pad[0])
