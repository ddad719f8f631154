"""Corrections for testing many hypotheses at once."""

import numpy as np
from jaxtyping import Float


def benjamini_hochberg(p: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """Adjusted p-values: rejecting those below q keeps the expected share of false rejections below q.

    NaN stays NaN and is not counted as a test.

    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03])).round(2)
    array([0.03, 0.04,  nan, 0.04])
    """
    p = np.asarray(p, dtype=float)
    adjusted, known = np.full_like(p, np.nan), np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known])]
    scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
    adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return adjusted
