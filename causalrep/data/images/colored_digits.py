"""Colored MNIST, in which a digit's color is confounded with its label, and the image augmentation of the IVL paper.

The outcome y is a label f of the digit (below 5, or not), flipped with probability 1/4. The color is y, flipped with a
probability e that depends on the environment. A classifier that reads the color is right more often than one that reads
the digit, until e changes.

The two protocols differ in which digits have label 1, in how often each training environment occurs, and in the
translation: ``"paper"`` follows the text, ``"repo"`` the released code where it departs from the text.

Source: Arjovsky et al. (arXiv 1907.02893), section 5.2; Akbar et al. (arXiv 2510.25128), section 5 and released code.
"""

from typing import Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from causalrep.data.augmentation import Augmented

Protocol = Literal["repo", "paper"]
LABEL_NOISE = 0.25
TRAIN_FLIPS = (0.1, 0.2)
JITTER, TRANSLATION = 0.5, 0.2
SIZE = 14
# Standard deviation of Beta(2, 2), from which every augmentation parameter is drawn.
BETA_SD = 0.05**0.5


class ColoredDigits(NamedTuple):
    """Colored digits.

    Attributes:
        x: Images in [0, 1], whose third channel is zero (n, 3, 14, 14).
        y: Outcome, 0 or 1 (n,).
        label: f, the outcome before label noise, 0 or 1 (n,).
        color: Channel that shows the digit: 0 for the first, 1 for the second (n,).
    """

    x: Float[Array, "n 3 14 14"]
    y: Float[Array, " n"]
    label: Float[Array, " n"]
    color: Float[Array, " n"]


def color_digits(
    key: Key[Array, ""],
    images: Int[Array, "n 28 28"],
    digits: Int[Array, " n"],
    *,
    protocol: Protocol = "repo",
    flip: float | None = None,
) -> ColoredDigits:
    """Color digits so that their color is confounded with the outcome.

    Args:
        key: Random key.
        images: Gray images with values 0 to 255 (n, 28, 28); every other pixel is kept.
        digits: Digits 0 to 9 (n,).
        protocol: With ``"repo"``, digits below 5 have label 1, and the training environment e = 0.2 occurs twice as
            often as e = 0.1. With ``"paper"``, digits from 5 have label 1, and both environments occur equally often.
        flip: Probability e for all rows, for test sets; by default every row is from a training environment.

    >>> from causalrep.keys import root
    >>> color_digits(root(0), jnp.ones((6, 28, 28), jnp.uint8), jnp.arange(6), flip=0.9).x.shape
    (6, 3, 14, 14)
    """
    chex.assert_shape(images, (digits.shape[0], 28, 28))
    noise_key, environment_key, color_key = jax.random.split(key, 3)
    n = digits.shape[0]
    label = (digits < 5) if protocol == "repo" else (digits >= 5)
    y = label ^ jax.random.bernoulli(noise_key, LABEL_NOISE, (n,))
    if flip is None:
        often = 2.0 / 3.0 if protocol == "repo" else 0.5
        second = jax.random.bernoulli(environment_key, often, (n,))
        probability = jnp.where(second, TRAIN_FLIPS[1], TRAIN_FLIPS[0])
    else:
        probability = jnp.full((n,), flip)
    color = y ^ jax.random.bernoulli(color_key, probability)
    gray = images[:, ::2, ::2].astype(jnp.float32) / 255.0
    shown = color[:, None, None]
    x = jnp.stack([jnp.where(shown, 0.0, gray), jnp.where(shown, gray, 0.0), jnp.zeros_like(gray)], axis=1)
    return ColoredDigits(x, *(values.astype(jnp.float32) for values in (y, label, color)))


def jitter_translate(key: Key[Array, ""], x: Float[Array, "n 3 h w"], *, protocol: Protocol = "repo") -> Augmented:
    """Random changes of brightness, contrast, saturation, hue and position, all from Beta(2, 2), with their parameters.

    Brightness, contrast and saturation are multiplied by factors in [0.5, 1.5], and the hue is turned by a share of the
    circle in [-0.5, 0.5]. Half of all hues turn by more than a sixth of the circle, so that the augmentation changes
    which channel is bright.

    Args:
        key: Random key.
        x: Images in [0, 1] (n, 3, h, w).
        protocol: ``"paper"`` shifts each axis by up to a fifth of its length, and G holds the six standardized
            parameters. ``"repo"`` shifts the rows by h times the columns' shift *in pixels*, as the released code does.
            The image then leaves the frame unless that shift is 0 (72% are blank), and the last two columns of G, which
            are standardized as if pixels were fractions, have standard deviations of 14.5 and 203 instead of 1.

    Returns:
        Augmented images (n, 3, h, w) and parameters G (n, 6).
    """
    chex.assert_shape(x, (None, 3, None, None))
    n, _, height, width = x.shape
    # The median of three uniform numbers is Beta(2, 2), and needs no rejection sampling.
    draws = jnp.median(jax.random.uniform(key, (n, 6, 3), x.dtype), axis=-1)
    brightness, contrast, saturation = (
        (1.0 - JITTER + 2.0 * JITTER * draws[:, j])[:, None, None, None] for j in range(3)
    )
    hue = ((2.0 * draws[:, 3] - 1.0) * JITTER)[:, None, None]
    x = jnp.clip(brightness * x, 0.0, 1.0)
    mean = jnp.mean(_gray(x), axis=(1, 2), keepdims=True)[:, None]
    x = jnp.clip(contrast * x + (1.0 - contrast) * mean, 0.0, 1.0)
    x = jnp.clip(saturation * x + (1.0 - saturation) * _gray(x)[:, None], 0.0, 1.0)
    x = turn_hue(x, hue)
    across, down = ((2.0 * draws[:, j] - 1.0) * TRANSLATION for j in (4, 5))
    columns = jnp.round(across * width).astype(int)
    rows = columns * height if protocol == "repo" else jnp.round(down * height).astype(int)
    g = (draws - 0.5) / BETA_SD
    if protocol == "repo":
        pixels = jnp.stack([columns, rows], axis=1).astype(x.dtype)
        g = g.at[:, 4:].set(pixels / (2.0 * TRANSLATION) / BETA_SD)
    return Augmented(jax.vmap(_shift)(x, rows, columns), g)


def turn_hue(x: Float[Array, "n 3 h w"], turn: Float[Array, "n 1 1"]) -> Float[Array, "n 3 h w"]:
    """Turn the hue of RGB images by a share of the circle; saturation and value stay the same."""
    red, green, blue = x[:, 0], x[:, 1], x[:, 2]
    value, least = jnp.max(x, axis=1), jnp.min(x, axis=1)
    chroma = value - least
    safe = jnp.where(chroma > 0, chroma, 1.0)
    # Hue in sixths of the circle: red is at 0, green at 2, blue at 4; gray pixels (chroma 0) have no hue.
    sixth = jnp.where(
        value == red,
        (green - blue) / safe,
        jnp.where(value == green, 2.0 + (blue - red) / safe, 4.0 + (red - green) / safe),
    )
    hue = jnp.mod(jnp.where(chroma > 0, sixth, 0.0) / 6.0 + turn, 1.0)

    def channel(offset):
        # Around the circle each primary color follows a trapezoid, which ``offset`` moves into place.
        k = jnp.mod(offset + 6.0 * hue, 6.0)
        return value - chroma * jnp.clip(jnp.minimum(k, 4.0 - k), 0.0, 1.0)

    return jnp.stack([channel(5.0), channel(3.0), channel(1.0)], axis=1)


def _gray(x: Float[Array, "n 3 h w"]) -> Float[Array, "n h w"]:
    return 0.2989 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2]


def _shift(image: Float[Array, "3 h w"], rows: Int[Array, ""], columns: Int[Array, ""]) -> Float[Array, "3 h w"]:
    """Move an image down and right by whole pixels, and fill the vacated places with zeros."""
    _, height, width = image.shape
    # Pixel (i, j) of the result comes from (i - rows, j - columns); places outside the image are masked to zero.
    i, j = jnp.arange(height) - rows, jnp.arange(width) - columns
    inside = ((i >= 0) & (i < height))[:, None] & ((j >= 0) & (j < width))
    return image[:, jnp.clip(i, 0, height - 1)][:, :, jnp.clip(j, 0, width - 1)] * inside
