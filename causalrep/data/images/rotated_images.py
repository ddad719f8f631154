"""Images in several domains, which differ in their rotation and in a spurious color (ILD, Zhou et al. 2024, section 5).

The images are rotated and colored, but their shapes are kept, so the true counterfactual of an image is known.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy import ndimage

from causalrep.errors import InputError

ANGLES = (0.0, 15.0, 30.0, 45.0, 60.0)
# Channels (red, green, blue) that each color keeps: red, blue, green, yellow, magenta, cyan.
COLORS = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
OWN_COLOR = 0.5


class RotatedImages(NamedTuple):
    """Images of all domains, one domain after the other.

    Attributes:
        x: Pixels in [0, 1], float32 (n, height, width, channels).
        domain: Domains, counted from 0 (n,).
        label: Classes, counted from 0 (n,).
    """

    x: Float[np.ndarray, "n height width channels"]
    domain: Int[np.ndarray, " n"]
    label: Int[np.ndarray, " n"]


def rotated_domains(
    images: UInt8[np.ndarray, "n height width"], labels: Int[np.ndarray, " n"], angles: Sequence[float] = ANGLES
) -> RotatedImages:
    """Every image in every domain, rotated counterclockwise by the domain's angle.

    Args:
        images: Gray images (n, height, width); their largest value becomes 1.
        labels: Classes (n,).
        angles: The domains' angles, in degrees.

    Returns:
        Images of one channel, ``len(angles) * n`` of them.

    Raises:
        InputError: If the shapes do not fit, or there are fewer than two angles.

    >>> rotated = rotated_domains(np.eye(8, dtype=np.uint8)[None], np.array([3]), (0, 90))
    >>> rotated.x.shape, bool(np.allclose(rotated.x[1, ..., 0], np.rot90(rotated.x[0, ..., 0])))
    ((2, 8, 8, 1), True)
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 3 or len(images) != len(labels) or len(images) == 0:
        raise InputError("images", found=f"shape {images.shape}, {len(labels)} labels", expected="(n, height, width)")
    if len(angles) < 2:
        raise InputError("angles", found=f"{len(angles)} angles", expected="at least two domains")
    gray = (images / images.max()).astype(np.float32)
    rotated = [np.clip(ndimage.rotate(gray, angle, axes=(2, 1), reshape=False, order=1), 0, 1) for angle in angles]
    domain = np.repeat(np.arange(len(angles)), len(images))
    return RotatedImages(np.concatenate(rotated)[..., None], domain, np.tile(labels.astype(np.int64), len(angles)))


def colored_domains(
    seed: int, images: UInt8[np.ndarray, "n height width"], labels: Int[np.ndarray, " n"]
) -> RotatedImages:
    """Digits 0, 1 and 2, upright (domain 0) and rotated by 90 degrees (domain 1), each in one of six colors.

    Color ``2 domain + digit`` has probability 1/2 and each of the others 1/10, so that the color depends on domain and
    digit. An upright 2 and a rotated 0 have the same most probable color.

    Args:
        seed: Random seed of the colors.
        images: Gray images (n, height, width); digits other than 0, 1 and 2 are left out.
        labels: The digits (n,).

    >>> rng = np.random.default_rng(0)
    >>> colored_domains(0, rng.integers(0, 256, (10, 8, 8)), np.arange(10)).x.shape
    (6, 8, 8, 3)
    """
    kept = np.isin(labels, (0, 1, 2))
    plain = rotated_domains(np.asarray(images)[kept], np.asarray(labels)[kept], (0.0, 90.0))
    generator = np.random.RandomState(seed)
    own = 2 * plain.domain + plain.label
    # A shift of 1 to 5 around the circle of six colors: one of the five others, each equally likely.
    other = (own + generator.randint(1, len(COLORS), len(own))) % len(COLORS)
    color = np.where(generator.rand(len(own)) < OWN_COLOR, own, other)
    return plain._replace(x=plain.x * COLORS[color][:, None, None, :].astype(np.float32))


def shrunk(images: UInt8[np.ndarray, "n height width"], factor: int = 2) -> Float[np.ndarray, "n h w"]:
    """Images with fewer pixels, each the mean of a square of ``factor`` by ``factor`` pixels.

    Raises:
        InputError: If ``factor`` does not divide height and width.
    """
    n, height, width = images.shape
    if height % factor or width % factor:
        raise InputError("factor", found=f"{factor} for {height} x {width} pixels", expected="a divisor of both")
    return images.reshape(n, height // factor, factor, width // factor, factor).mean(axis=(2, 4))
