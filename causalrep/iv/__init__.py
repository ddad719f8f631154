"""Instruments: is there a source of variation outside the confounder?"""

from causalrep.iv.base import LinearIVEstimator
from causalrep.iv.estimators import JIVE, LIML, OLS, AnchorRegression, Fuller, KClass, TwoStageLeastSquares
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
from causalrep.iv.summary import Summary

__all__ = [
    "JIVE",
    "LIML",
    "OLS",
    "AnchorRegression",
    "Fuller",
    "KClass",
    "LinearFit",
    "LinearIVEstimator",
    "Summary",
    "TwoStageLeastSquares",
    "anchor_regression",
    "fuller",
    "jive",
    "k_class",
    "liml",
    "ols",
    "two_stage_least_squares",
]
