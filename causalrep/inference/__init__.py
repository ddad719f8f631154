"""Uncertainty that more than one method uses.

Sandwich covariances, the bootstrap (nonparametric and wild), cross-fitting, conformal prediction, pooling over
imputations, and tests of independence.
"""

from causalrep.inference.bootstrap import bootstrap_weights, over_weights
from causalrep.inference.conformal import conformal_quantile
from causalrep.inference.crossfit import Learner, cross_fit, stratified_folds
from causalrep.inference.independence.categorical import chi_square, g_square
from causalrep.inference.independence.kernel import Independence, hsic, kci, rit
from causalrep.inference.multiplicity import benjamini_hochberg
from causalrep.inference.pooling import pool
from causalrep.inference.sandwich import Covariance, meat, sandwich_covariance
from causalrep.inference.wild_bootstrap import wild_cluster_bootstrap, wild_cluster_interval

__all__ = [
    "Covariance",
    "Independence",
    "Learner",
    "benjamini_hochberg",
    "bootstrap_weights",
    "chi_square",
    "conformal_quantile",
    "cross_fit",
    "g_square",
    "hsic",
    "kci",
    "meat",
    "over_weights",
    "pool",
    "rit",
    "sandwich_covariance",
    "stratified_folds",
    "wild_cluster_bootstrap",
    "wild_cluster_interval",
]
