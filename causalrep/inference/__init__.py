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

__all__ = [
    "Covariance",
    "automatic_bandwidth",
    "bartlett_meat",
    "cluster_sums",
    "leverages",
    "meat",
    "sandwich_covariance",
]
