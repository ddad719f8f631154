"""The 1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships, for laptops and tests.

Source: the test set of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, UCI repository; CC BY 4.0).
"""

from causalrep.data.images.mnist import Digits, shuffled, split_digits
from causalrep.data.sources.packages import data_package


def load_small_digits() -> Digits:
    """Small handwritten digits (n = 1,797) of 8 x 8 pixels, with gray values 0 to 16; the last fifth is for testing.

    Raises:
        DataError: If scikit-learn is not installed.
    """
    digits = data_package("small_digits", "sklearn.datasets").load_digits()
    return split_digits(*shuffled(digits.images, digits.target), source="scikit-learn's digits, 8 x 8")
