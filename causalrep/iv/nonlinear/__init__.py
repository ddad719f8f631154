"""Instruments beyond the linear model: sieves, kernels, networks."""

from causalrep.iv.nonlinear.base import NonlinearIVEstimator
from causalrep.iv.nonlinear.bases import Basis, evaluate_basis, make_basis
from causalrep.iv.nonlinear.kernel_estimators import KernelIV, KernelMMR
from causalrep.iv.nonlinear.kiv import (
    KernelFit,
    default_penalties,
    kernel_iv,
    kernel_predict,
    kernel_ridge,
    nystroem_kernel_iv,
    nystroem_kernel_ridge,
)
from causalrep.iv.nonlinear.mmr import kernel_mmr, moment_risk, nystroem_kernel_mmr
from causalrep.iv.nonlinear.ridge import TwoStageRidge, two_stage_ridge
from causalrep.iv.nonlinear.sieve_estimators import RidgeSieveIV, SieveIV

__all__ = [
    "Basis",
    "KernelFit",
    "KernelIV",
    "KernelMMR",
    "NonlinearIVEstimator",
    "RidgeSieveIV",
    "SieveIV",
    "TwoStageRidge",
    "default_penalties",
    "evaluate_basis",
    "kernel_iv",
    "kernel_mmr",
    "kernel_predict",
    "kernel_ridge",
    "make_basis",
    "moment_risk",
    "nystroem_kernel_iv",
    "nystroem_kernel_mmr",
    "nystroem_kernel_ridge",
    "two_stage_ridge",
]
