"""R's default random numbers, so that simulations published as R code and a seed can be drawn again exactly.

Mersenne Twister with R's scrambling of the seed, and normal deviates by inversion: the default generators of every R
version. (The sampling of integers changed with R 3.6 and is not offered.)
"""

import numpy as np
from scipy.special import ndtri

_INTEGER_SCALE = 2.3283064365386963e-10  # 2^-32, as R spells it
_SMALLEST = 2.328306437080797e-10
_NORMAL_BITS = 2.0**27


class RRandom:
    """The stream that R gives after ``set.seed(seed)``.

    >>> RRandom(1).uniform(3).round(8).tolist()
    [0.26550866, 0.3721239, 0.57285336]
    """

    def __init__(self, seed: int):
        words = np.empty(675, np.uint32)
        word = seed & 0xFFFFFFFF
        for i in range(675):
            word = (69069 * word + 1) & 0xFFFFFFFF
            words[i] = word
        # Fifty rounds scramble the seed; of the 625 words that follow, the first is the position, which R overrides.
        generator = np.random.MT19937()
        generator.state = {"bit_generator": "MT19937", "state": {"key": words[51:], "pos": 624}}
        self._generator = generator

    def uniform(self, count: int) -> np.ndarray:
        """``runif(count)`` (count,)."""
        words = self._generator.random_raw(count).astype(np.float64)
        return np.clip(words * _INTEGER_SCALE, _SMALLEST, 1.0 - _SMALLEST)

    def normal(self, count: int) -> np.ndarray:
        """``rnorm(count)`` (count,): two uniforms each give 54 bits, which the normal quantile function maps."""
        high, low = self.uniform(2 * count).reshape(count, 2).T
        return ndtri((np.floor(_NORMAL_BITS * high) + low) / _NORMAL_BITS)
