"""Instruments: is there a source of variation outside the confounder?"""

from causalrep.iv.kclass import (
    LinearFit,
    anchor_regression,
    fuller,
    jive,
    k_class,
    liml,
    ols,
    two_stage_least_squares,
)

__all__ = [
    "LinearFit",
    "anchor_regression",
    "fuller",
    "jive",
    "k_class",
    "liml",
    "ols",
    "two_stage_least_squares",
]
