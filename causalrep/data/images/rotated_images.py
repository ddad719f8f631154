"""Pictures in several domains: turned by an angle each, and coloured by a rule that is spurious (ILD, section 5)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy import ndimage

from causalrep.errors import InputError

ANGLES = (0.0, 15.0, 30.0, 45.0, 60.0)
# Channels that each colour keeps: red, blue, green, yellow, magenta, cyan.
COLORS = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
OWN_COLOR = 0.5


class RotatedImages(NamedTuple):
    """Pictures of all domains, one domain after the other.

    Attributes:
        x: Pixels in [0, 1], float32 (n, height, width, channels).
        domain: Their domains (n,), from 0.
        label: Their classes (n,), from 0.
    """

    x: Float[np.ndarray, "n height width channels"]
    domain: Int[np.ndarray, " n"]
    label: Int[np.ndarray, " n"]


def rotated_domains(
    images: UInt8[np.ndarray, "n height width"], labels: Int[np.ndarray, " n"], angles: Sequence[float] = ANGLES
) -> RotatedImages:
    """Every picture in every domain, turned counter-clockwise by the domain's angle, in degrees.

    Args:
        images: Grey pictures; their largest value becomes 1.
        labels: Their classes.
        angles: Of the domains.

    >>> found = rotated_domains(np.eye(8, dtype=np.uint8)[None], np.array([3]), (0, 90))
    >>> found.x.shape, bool(np.allclose(found.x[1, ..., 0], np.rot90(found.x[0, ..., 0])))
    ((2, 8, 8, 1), True)
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 3 or len(images) != len(labels) or len(images) == 0:
        raise InputError("images", found=f"shape {images.shape}, {len(labels)} labels", expected="(n, height, width)")
    if len(angles) < 2:
        raise InputError("angles", found=f"{len(angles)} angles", expected="at least two domains")
    grey = (images / images.max()).astype(np.float32)
    turned = [np.clip(ndimage.rotate(grey, angle, axes=(2, 1), reshape=False, order=1), 0, 1) for angle in angles]
    domain = np.repeat(np.arange(len(angles)), len(images))
    return RotatedImages(np.concatenate(turned)[..., None], domain, np.tile(labels.astype(np.int64), len(angles)))


def colored_domains(
    seed: int, images: UInt8[np.ndarray, "n height width"], labels: Int[np.ndarray, " n"]
) -> RotatedImages:
    """Digits 0, 1 and 2, upright and turned by 90 degrees, each in one of six colours.

    Colour ``2 domain + digit`` has probability 1/2, each of the others 1/10: it depends on both, and digit 2 upright
    shares its colour with digit 0 turned.

    Args:
        seed: Of the colours.
        images: Grey pictures of digits; other digits are left out.
        labels: The digits.
    """
    kept = np.isin(labels, (0, 1, 2))
    plain = rotated_domains(np.asarray(images)[kept], np.asarray(labels)[kept], (0.0, 90.0))
    draw = np.random.RandomState(seed)
    own = 2 * plain.domain + plain.label
    other = (own + draw.randint(1, len(COLORS), len(own))) % len(COLORS)
    color = np.where(draw.rand(len(own)) < OWN_COLOR, own, other)
    return plain._replace(x=plain.x * COLORS[color][:, None, None, :].astype(np.float32))


def shrunk(images: UInt8[np.ndarray, "n height width"], factor: int = 2) -> Float[np.ndarray, "n h w"]:
    """Pictures of fewer pixels, each the mean of a square of ``factor`` by ``factor``."""
    n, height, width = images.shape
    if height % factor or width % factor:
        raise InputError("factor", found=f"{factor} for {height} x {width} pixels", expected="a divisor of both")
    return images.reshape(n, height // factor, factor, width // factor, factor).mean(axis=(2, 4))
