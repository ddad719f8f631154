"""Convolution that is fast on a CPU too, inside and outside of compiled loops."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from causalrep.errors import InputError
from causalrep.nn.products import dense_product

Padding = str | int | Sequence[tuple[int, int]]
# A matrix product over fewer values than this (those under one row of the kernel) is too thin to be fast.
THIN = 32


def convolve(
    image: Float[Array, "n height width channels"],
    kernel: Float[Array, "rows columns channels features"],
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "SAME",
) -> Float[Array, "n tall wide features"]:
    """``jax.lax.conv_general_dilated`` of images, computed as matrix products on CPUs.

    XLA's CPU backend (jaxlib 0.10.2) multiplies by the zeros in the gradient of a strided convolution, and inside a
    loop it replaces its fast kernel by a plain one that is ten times slower. Written as one matrix product per row of
    the kernel, or with few channels as one product of all windows, a convolution and its gradient are as fast inside a
    scan of training steps as outside. Other platforms use the native convolution. Only reverse-mode derivatives are
    defined.

    Args:
        image: Images.
        kernel: Kernel.
        strides: Steps between windows, along rows and columns.
        padding: ``"SAME"``, ``"VALID"``, one number for all sides, or pairs of numbers (before, after) for rows and
            columns.

    Raises:
        InputError: If the padding has another form, or the kernel does not fit the channels or the padded image.

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
    """``flax.linen.Conv`` of images by :func:`convolve`: the same parameters and the same values.

    Attributes:
        features: Number of output channels.
        kernel_size: Height and width of the kernel.
        strides: As in :func:`convolve`.
        padding: As in :func:`convolve`.
        param_dtype: Dtype of the parameters, float32 unless asked as in flax, also while 64-bit types are enabled.
    """

    features: int
    kernel_size: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "SAME"
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: Float[Array, "n height width channels"]) -> Float[Array, "n tall wide features"]:
        """Filtered images."""
        image, kernel, bias = with_parameters(self, image)
        return convolve(image, kernel, self.strides, self.padding) + bias


def with_parameters(layer: nn.Module, image: jax.Array) -> list[jax.Array]:
    """Images, kernel and bias of a layer in one dtype; the parameters are initialized as in flax's convolutions."""
    shape = (*layer.kernel_size, image.shape[-1], layer.features)
    kernel = layer.param("kernel", nn.initializers.lecun_normal(), shape, layer.param_dtype)
    bias = layer.param("bias", nn.initializers.zeros_init(), (layer.features,), layer.param_dtype)
    return promote_dtype(image, kernel, bias)


def pads_of(
    sizes: Sequence[int], taps: Sequence[int], strides: Sequence[int], padding: Padding
) -> tuple[tuple[int, int], ...]:
    """Numbers of padded places before and after, for rows and for columns."""
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
    # Split the image into one image per offset within a stride: image[i, j] holds rows i, i + stride, ... and the same
    # for columns. What a tap of the kernel sees at all windows is then a plain slice of one of them.
    axes = zip(image.shape[1:3], kernel.shape[:2], strides, pads, strict=True)
    steps, whole, edges = zip(*(_cut(*axis) for axis in axes), strict=True)
    image = jax.lax.pad(image, jnp.zeros((), image.dtype), ((0, 0, 0), *((*edge, 0) for edge in edges), (0, 0, 0)))
    image = image.reshape(n, whole[0], strides[0], whole[1], strides[1], channels).transpose(2, 4, 0, 1, 3, 5)
    image = jax.lax.optimization_barrier(image)

    def seen_by(row: int, column: int) -> jax.Array:
        (down, place), (right, side) = divmod(row, strides[0]), divmod(column, strides[1])
        return image[place, side, :, down : down + steps[0], right : right + steps[1]]

    # Sums of float16 or bfloat16 are accumulated in float32.
    product = partial(dense_product, preferred_element_type=jnp.promote_types(image.dtype, jnp.float32))
    # One row of the kernel at a time, or all rows at once if the product of one row would be too thin.
    together = [range(row, row + 1) for row in range(rows)] if channels * columns >= THIN else [range(rows)]
    output = 0
    for some in together:
        windows = [seen_by(row, column) for row in some for column in range(columns)]
        weights = kernel[some.start : some.stop].reshape(-1, features)
        output = output + product(jnp.concatenate(windows, axis=-1), weights)
    return output.astype(image.dtype)


def _cut(size: int, taps: int, stride: int, pad: tuple[int, int]) -> tuple[int, int, tuple[int, int]]:
    """Along one axis: the number of windows, the number of strides they cover, and the padding to that many strides."""
    windows = (size + sum(pad) - taps) // stride + 1
    # The last window starts (windows - 1) strides in; its last tap lies (taps - 1) // stride strides further.
    covered = windows + (taps - 1) // stride
    return windows, covered, (pad[0], stride * covered - size - pad[0])
