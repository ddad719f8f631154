"""Uncertainty that more than one method uses: sandwich covariances and the wild cluster bootstrap."""

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
    "WildBootstrap",
    "automatic_bandwidth",
    "bartlett_meat",
    "cluster_sums",
    "leverages",
    "meat",
    "sandwich_covariance",
    "wild_cluster_bootstrap",
    "wild_cluster_interval",
]
