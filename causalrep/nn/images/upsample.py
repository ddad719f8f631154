"""Transposed convolution of stride 2 as an ordinary convolution, which XLA runs several times faster."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.errors import InputError
from causalrep.nn.images.convolution import convolve, with_parameters

Padding = str | Sequence[tuple[int, int]]


def conv_transpose_2x(
    image: Float[Array, "n height width channels"],
    kernel: Float[Array, "rows columns channels features"],
    padding: Padding = "SAME",
) -> Float[Array, "n tall wide features"]:
    """``jax.lax.conv_transpose`` with strides (2, 2), by its four phases.

    The direct form dilates the input with zeros and multiplies by them: with its gradients it takes five times as long
    on a CPU (64 to 32 channels on 7 x 7 pixels). An output pixel uses every second tap of the kernel, the even or the
    odd ones depending on its parity, so four small kernels over the same window give four interleaved images (Shi et
    al. 2016, "Is the deconvolution layer the same as a convolutional layer?", arXiv 1609.07009). Only reverse-mode
    derivatives are defined, as for :func:`convolve`.

    Args:
        image: Images.
        kernel: Kernel.
        padding: ``"SAME"``, which doubles height and width, ``"VALID"``, or the padding of the dilated input before
            and after, for rows and for columns.

    >>> import jax
    >>> image, kernel = jnp.arange(8.0).reshape(1, 2, 2, 2), jnp.arange(54.0).reshape(3, 3, 2, 3)
    >>> direct = jax.lax.conv_transpose(image, kernel, (2, 2), "SAME")
    >>> bool(jnp.array_equal(conv_transpose_2x(image, kernel), direct))
    True
    """
    (n, *sizes, channels), (*taps, _, features) = image.shape, kernel.shape
    pads = [
        _padding(k, padding) if isinstance(padding, str) else (padding[axis][0], padding[axis][1])
        for axis, k in enumerate(taps)
    ]
    rows, columns = (_Phases(size, k, pad) for size, k, pad in zip(sizes, taps, pads, strict=True))
    padded = jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
    phases = padded[rows.taps][:, :, columns.taps]  # row phase, row tap, column phase, column tap, channel, feature
    together = phases.transpose(1, 3, 4, 0, 2, 5).reshape(rows.window, columns.window, channels, 4 * features)
    output = convolve(image, together, (1, 1), (rows.pads, columns.pads))
    # Interleave the phases: output pixel (2 m + p, 2 n + q) is pixel (m, n) of phase (p, q).
    output = output.reshape(n, rows.count, columns.count, 2, 2, features).transpose(0, 1, 3, 2, 4, 5)
    return output.reshape(n, 2 * rows.count, 2 * columns.count, features)[:, : rows.length, : columns.length]


class ConvTranspose(nn.Module):
    """``flax.linen.ConvTranspose`` with strides (2, 2): the same parameters and values, but faster.

    Attributes:
        features: Number of output channels.
        kernel_size: Height and width of the kernel.
        padding: As in :func:`conv_transpose_2x`.
        param_dtype: Dtype of the parameters, as in :class:`Conv`.
    """

    features: int
    kernel_size: tuple[int, int] = (3, 3)
    padding: Padding = "SAME"
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: Float[Array, "n height width channels"]) -> Float[Array, "n tall wide features"]:
        """Images of about twice the height and width."""
        image, kernel, bias = with_parameters(self, image)
        return conv_transpose_2x(image, kernel, self.padding) + bias


class _Phases:
    """One axis: output ``2 m + p`` is the sum over taps t of ``kernel[t] input[m + (p + t - before) / 2]``.

    Attributes:
        length: Length of the output.
        count: Number of outputs m per phase.
        window: Number of inputs that the two phases use together.
        pads: Padding of the input, before and after.
        taps: The tap of the kernel that each phase has at each place of the window (2, window). The number of taps
            stands for no tap: it points to a zero appended to the kernel.
    """

    def __init__(self, size: int, taps: int, pads: tuple[int, int]):
        before, after = pads
        self.length = 2 * size - 1 + before + after - taps + 1
        self.count = (self.length + 1) // 2
        # Only taps whose parity matches the phase fall on an input rather than on a zero of the dilated input.
        used = [(p, t, (p + t - before) // 2) for p in (0, 1) for t in range(taps) if (p + t - before) % 2 == 0]
        first, last = (bound(offset for _, _, offset in used) for bound in (min, max))
        self.window = last - first + 1
        self.pads = (-first, self.count - 1 + last - (size - 1))
        self.taps = np.full((2, self.window), taps)
        for p, t, offset in used:
            self.taps[p, offset - first] = t


def _padding(taps: int, name: str) -> tuple[int, int]:
    """The padding of ``jax.lax.conv_transpose`` at stride 2."""
    if name == "SAME":
        before = taps - 1 if taps < 3 else (taps + 1) // 2
        return before, taps - before
    if name == "VALID":
        return taps - 1, max(taps - 1, 1)
    raise InputError("padding", found=repr(name), expected="'SAME', 'VALID' or pairs of numbers")
