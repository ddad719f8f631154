"""Transposed convolution of stride 2 as an ordinary convolution, which compilers run several times faster."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.errors import InputError
from causalrep.nn.images.convolution import convolve, kernel_and_bias

Padding = str | Sequence[tuple[int, int]]


def conv_transpose_2x(
    image: Float[Array, "n height width channels"],
    kernel: Float[Array, "rows columns channels features"],
    padding: Padding = "SAME",
) -> Float[Array, "n tall wide features"]:
    """``jax.lax.conv_transpose`` with strides (2, 2), by its four phases.

    The direct form spreads the input with zeros, which XLA multiplies by: with its gradients it takes five times as
    long on a CPU (64 to 32 channels on 7 x 7 pixels). An output pixel meets every second tap of the kernel, the even
    or the odd ones depending on its parity, so four small kernels over the same window give four interleaved images
    (Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?", arXiv 1609.07009). The
    derivative is of reverse mode alone, as :func:`convolve`'s is.

    Args:
        image: Input.
        kernel: Kernel.
        padding: ``"SAME"``, which doubles height and width, ``"VALID"``, or what the spread-out input is padded with
            before and after, by rows and by columns.

    >>> import jax
    >>> image, kernel = jnp.arange(8.0).reshape(1, 2, 2, 2), jnp.arange(54.0).reshape(3, 3, 2, 3)
    >>> direct = jax.lax.conv_transpose(image, kernel, (2, 2), "SAME")
    >>> bool(jnp.array_equal(conv_transpose_2x(image, kernel), direct))
    True
    """
    (n, *sizes, channels), (*taps, _, features) = image.shape, kernel.shape
    pads = [_padding(k, padding) if isinstance(padding, str) else tuple(padding[axis]) for axis, k in enumerate(taps)]
    rows, columns = (_Phases(size, k, pad) for size, k, pad in zip(sizes, taps, pads, strict=True))
    padded = jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
    phases = padded[rows.taps][:, :, columns.taps]  # row phase, row tap, column phase, column tap, channel, feature
    together = phases.transpose(1, 3, 4, 0, 2, 5).reshape(rows.window, columns.window, channels, 4 * features)
    found = convolve(image, together, (1, 1), (rows.pads, columns.pads))
    found = found.reshape(n, rows.count, columns.count, 2, 2, features).transpose(0, 1, 3, 2, 4, 5)
    return found.reshape(n, 2 * rows.count, 2 * columns.count, features)[:, : rows.length, : columns.length]


class ConvTranspose(nn.Module):
    """``flax.linen.ConvTranspose`` with strides (2, 2): same parameters, same values, faster.

    Attributes:
        features: Channels of the output.
        kernel_size: Height and width of the kernel.
        padding: As in :func:`conv_transpose_2x`.
    """

    features: int
    kernel_size: tuple[int, int] = (3, 3)
    padding: Padding = "SAME"

    @nn.compact
    def __call__(self, image: Float[Array, "n height width channels"]) -> Float[Array, "n tall wide features"]:
        """The larger image."""
        kernel, bias = kernel_and_bias(self, image.shape[-1])
        return conv_transpose_2x(image, kernel, self.padding) + bias


class _Phases:
    """One axis: output ``2 m + p`` is the sum over taps t of ``kernel[t] input[m + (p + t - before) / 2]``.

    Attributes:
        length: Of the output.
        count: Of outputs m of one phase.
        window: Inputs that both phases together meet.
        pads: Of the input, before and after.
        taps: Which tap of the kernel each phase has at each place of the window (2, window); the last one stands for
            none, a zero appended to the kernel.
    """

    def __init__(self, size: int, taps: int, pads: tuple[int, int]):
        before, after = pads
        self.length = 2 * size - 1 + before + after - taps + 1
        self.count = -(-self.length // 2)
        met = [(p, t, (p + t - before) // 2) for p in (0, 1) for t in range(taps) if (p + t - before) % 2 == 0]
        first, last = (bound(offset for _, _, offset in met) for bound in (min, max))
        self.window = last - first + 1
        self.pads = (-first, self.count - 1 + last - (size - 1))
        self.taps = np.full((2, self.window), taps)
        for p, t, offset in met:
            self.taps[p, offset - first] = t


def _padding(taps: int, name: str) -> tuple[int, int]:
    """What ``jax.lax.conv_transpose`` pads at stride 2."""
    if name == "SAME":
        before = taps - 1 if taps < 3 else -(-taps // 2)
        return before, taps - before
    if name == "VALID":
        return taps - 1, max(taps - 1, 1)
    raise InputError("padding", found=repr(name), expected="'SAME', 'VALID' or pairs of numbers")
