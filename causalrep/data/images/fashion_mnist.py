"""Fashion-MNIST: 70,000 grey pictures of clothes, 28 x 28, in ten classes.

Source: H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", arXiv 1708.07747; the MIT licence.
"""

import gzip
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from causalrep.base.validation import check_choice
from causalrep.data.sources.folder import find_file
from causalrep.errors import DataError

BASE_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
# Checksums of the contents: copies of the files are compressed in different ways.
_FILES = {
    "train": (
        ("train-images-idx3-ubyte", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        ("train-labels-idx1-ubyte", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    ),
    "test": (
        ("t10k-images-idx3-ubyte", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        ("t10k-labels-idx1-ubyte", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ),
}


class LabelledImages(NamedTuple):
    """Pictures and what they show.

    Attributes:
        image: Grey values 0 to 255, shape (n, height, width).
        label: Class numbers, shape (n,).
    """

    image: UInt8[np.ndarray, "n height width"]
    label: UInt8[np.ndarray, " n"]


def load_fashion_mnist(split: str = "train") -> LabelledImages:
    """Fashion-MNIST: 60,000 training and 10,000 test pictures of clothes.

    Args:
        split: ``"train"`` or ``"test"``.

    Raises:
        DataError: If the files are neither in the data folder nor downloadable, or fail their checksum.
    """
    check_choice("split", split, tuple(_FILES))
    image, label = (_read(name, sha256) for name, sha256 in _FILES[split])
    return LabelledImages(image, label)


def _read(name: str, sha256: str) -> np.ndarray:
    path = find_file("fashion_mnist", f"{name}.gz", sha256=sha256, base_url=BASE_URL, gzipped=True)
    raw = gzip.decompress(path.read_bytes())
    # The idx format: two zero bytes, the type, the number of axes, then the axes' lengths, big-endian.
    kind, axes = raw[2], raw[3]
    if kind != 8:
        raise DataError(f"fashion_mnist: {path} does not hold unsigned bytes (idx type {kind}).")
    shape = np.frombuffer(raw, ">u4", axes, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)
