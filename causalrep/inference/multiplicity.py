"""Corrections for testing many hypotheses at once."""

import numpy as np
from jaxtyping import Float

from causalrep.errors import InputError


def benjamini_hochberg(p: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """Adjusted p-values: rejecting those below q keeps the expected share of false rejections below q.

    NaN stays NaN and is not counted as a test.

    Raises:
        InputError: If the p-values are not a vector of numbers in [0, 1].

    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03])).round(2)
    array([0.03, 0.04,  nan, 0.04])
    """
    p = np.asarray(p, dtype=float)
    if p.ndim != 1 or ((p < 0) | (p > 1)).any():
        found = f"shape {p.shape}" if p.ndim != 1 else f"values from {np.nanmin(p):g} to {np.nanmax(p):g}"
        raise InputError("p", found=found, expected="a vector of numbers in [0, 1]")
    adjusted, known = np.full_like(p, np.nan), np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known])]
    scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
    adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return adjusted
