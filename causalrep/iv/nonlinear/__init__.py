"""Instruments beyond the linear model: sieves, kernels, networks."""

from causalrep.iv.nonlinear.base import NonlinearIVEstimator
from causalrep.iv.nonlinear.deep_gmm import DeepGMM, deep_gmm, deep_gmm_predict
from causalrep.iv.nonlinear.deep_iv import DeepIV, deep_iv, deep_iv_predict
from causalrep.iv.nonlinear.dfiv import DFIV, dfiv, dfiv_predict
from causalrep.iv.nonlinear.kernel_fit import default_penalties, kernel_predict
from causalrep.iv.nonlinear.kernel_iv import (
    KernelIV,
    kernel_iv,
    kernel_ridge,
    nystroem_kernel_iv,
    nystroem_kernel_ridge,
)
from causalrep.iv.nonlinear.kernel_mmr import KernelMMR, kernel_mmr, moment_risk, nystroem_kernel_mmr
from causalrep.iv.nonlinear.ridge import two_stage_ridge
from causalrep.iv.nonlinear.sieves import RidgeSieveIV, SieveIV

__all__ = [
    "DFIV",
    "DeepGMM",
    "DeepIV",
    "KernelIV",
    "KernelMMR",
    "NonlinearIVEstimator",
    "RidgeSieveIV",
    "SieveIV",
    "deep_gmm",
    "deep_gmm_predict",
    "deep_iv",
    "deep_iv_predict",
    "default_penalties",
    "dfiv",
    "dfiv_predict",
    "kernel_iv",
    "kernel_mmr",
    "kernel_predict",
    "kernel_ridge",
    "moment_risk",
    "nystroem_kernel_iv",
    "nystroem_kernel_mmr",
    "nystroem_kernel_ridge",
    "two_stage_ridge",
]
