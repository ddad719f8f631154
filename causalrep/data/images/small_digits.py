"""The 1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships: pictures for a laptop and for tests.

Source: the test set of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, UCI repository; CC BY 4.0).
"""

import numpy as np

from causalrep.data.images.mnist import TEST_SHARE, Digits
from causalrep.errors import DataError


def load_small_digits() -> Digits:
    """Grey values 0 to 16, 8 x 8 pixels; shuffled once, the last fifth to test.

    Raises:
        DataError: If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError("small_digits: they are in scikit-learn; install it with: pip install scikit-learn") from error
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    images, labels = found.images[order].astype(np.uint8), found.target[order].astype(np.uint8)
    kept = round(len(labels) * (1.0 - TEST_SHARE))
    return Digits(images[:kept], labels[:kept], images[kept:], labels[kept:], source="scikit-learn's digits, 8 x 8")
