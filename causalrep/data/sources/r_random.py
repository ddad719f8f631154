"""R's default random numbers, so that simulations published as R code with a seed can be drawn again exactly.

These are the Mersenne Twister with R's scrambling of the seed, and normal deviates by inversion: the default generators
of every version of R since 1.7. R's sampling of integers, which changed in R 3.6, is not reproduced.
"""

import numpy as np
from scipy.special import ndtri

_INTEGER_SCALE = 2.3283064365386963e-10  # 2^-32, to the digits in R's source
_SMALLEST = 0.5 * 2.328306437080797e-10  # half of 1 / (2^32 - 1): R returns neither 0 nor 1
_NORMAL_BITS = 2.0**27


class RRandom:
    """The stream of random numbers that R gives after ``set.seed(seed)``.

    >>> RRandom(1).uniform(3).round(8).tolist()
    [0.26550866, 0.3721239, 0.57285336]
    """

    def __init__(self, seed: int):
        words = np.empty(675, np.uint32)
        word = seed & 0xFFFFFFFF
        for i in range(675):
            word = (69069 * word + 1) & 0xFFFFFFFF
            words[i] = word
        # Fifty rounds scramble the seed. Of the next 625 words the first is the generator's position, which R then
        # sets to 624 (draw a new block first); the other 624 are its state.
        generator = np.random.MT19937()
        generator.state = {"bit_generator": "MT19937", "state": {"key": words[51:], "pos": 624}}
        self._generator = generator

    def uniform(self, count: int) -> np.ndarray:
        """``runif(count)``, shape (count,)."""
        words = self._generator.random_raw(count).astype(np.float64)
        return np.clip(words * _INTEGER_SCALE, _SMALLEST, 1.0 - _SMALLEST)

    def normal(self, count: int) -> np.ndarray:
        """``rnorm(count)``, shape (count,): the normal quantile function at 54 bits from two uniform numbers."""
        high, low = self.uniform(2 * count).reshape(count, 2).T
        return ndtri((np.floor(_NORMAL_BITS * high) + low) / _NORMAL_BITS)
