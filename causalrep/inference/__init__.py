"""Uncertainty that more than one method uses.

Sandwich covariances, the bootstrap (nonparametric and wild), cross-fitting, conformal prediction and pooling over
imputations.
"""

from causalrep.inference.bootstrap import bootstrap_weights, over_weights
from causalrep.inference.conformal import conformal_quantile
from causalrep.inference.crossfit import Learner, cross_fit, is_host, stratified_folds
from causalrep.inference.pooling import Pooled, pool
from causalrep.inference.sandwich import (
    Covariance,
    automatic_bandwidth,
    bartlett_meat,
    cluster_sums,
    leverages,
    meat,
    sandwich_covariance,
)
from causalrep.inference.wild_bootstrap import WildBootstrap, wild_cluster_bootstrap, wild_cluster_interval

__all__ = [
    "Covariance",
    "Learner",
    "Pooled",
    "WildBootstrap",
    "automatic_bandwidth",
    "bartlett_meat",
    "bootstrap_weights",
    "cluster_sums",
    "conformal_quantile",
    "cross_fit",
    "is_host",
    "leverages",
    "meat",
    "over_weights",
    "pool",
    "sandwich_covariance",
    "stratified_folds",
    "wild_cluster_bootstrap",
    "wild_cluster_interval",
]
