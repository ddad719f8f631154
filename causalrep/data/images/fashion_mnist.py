"""Fashion-MNIST: 70,000 gray images of clothes of 28 x 28 pixels, in ten classes.

Source: H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", arXiv 1708.07747; MIT license.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from causalrep.base.validation import check_choice
from causalrep.data.images.mnist import read_idx
from causalrep.data.sources.folder import find_file

BASE_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
# Checksums of the decompressed contents, because copies of the files are compressed in different ways.
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
    """Images and their classes.

    Attributes:
        image: Gray values 0 to 255 (n, height, width).
        label: Class numbers from 0 (n,); the names are in :data:`CLASSES`.
    """

    image: UInt8[np.ndarray, "n height width"]
    label: UInt8[np.ndarray, " n"]


def load_fashion_mnist(split: str = "train") -> LabelledImages:
    """Fashion-MNIST: 60,000 training and 10,000 test images of clothes.

    Args:
        split: ``"train"`` or ``"test"``.

    Raises:
        DataError: If the files are neither in the data folder nor downloadable, or fail their checksum.
        InputError: If the split is unknown.
    """
    check_choice("split", split, tuple(_FILES))
    image, label = (
        read_idx(find_file("fashion_mnist", f"{name}.gz", sha256=sha256, base_url=BASE_URL, gzipped=True))
        for name, sha256 in _FILES[split]
    )
    return LabelledImages(image, label)
