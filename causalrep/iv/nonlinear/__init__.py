"""Instruments beyond the linear model: sieves, kernels, networks."""

from causalrep.iv.ivl.kernel import kernel_ivl, select_kernel_ivl
from causalrep.iv.ivl.neural import neural_ivl, neural_ivl_predict
from causalrep.iv.ivl.nonlinear import KernelIVL, NeuralIVL
from causalrep.iv.ivl.objective import ivl_objective
from causalrep.iv.nonlinear.base import NonlinearIVEstimator
from causalrep.iv.nonlinear.bases import Basis, evaluate_basis, make_basis
from causalrep.iv.nonlinear.deep_gmm import deep_gmm, deep_gmm_objective, deep_gmm_predict
from causalrep.iv.nonlinear.deep_iv import Mixture, deep_iv, deep_iv_predict, density_objective, structural_objective
from causalrep.iv.nonlinear.dfiv import FeatureWidths, dfiv, dfiv_objective, dfiv_predict
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
from causalrep.iv.nonlinear.neural_estimators import DFIV, DeepGMM, DeepIV, NeuralIVEstimator
from causalrep.iv.nonlinear.ridge import TwoStageRidge, two_stage_ridge
from causalrep.iv.nonlinear.sieve_estimators import RidgeSieveIV, SieveIV
from causalrep.iv.nonlinear.training import NeuralFit

__all__ = [
    "DFIV",
    "Basis",
    "DeepGMM",
    "DeepIV",
    "FeatureWidths",
    "KernelFit",
    "KernelIV",
    "KernelIVL",
    "KernelMMR",
    "Mixture",
    "NeuralFit",
    "NeuralIVEstimator",
    "NeuralIVL",
    "NonlinearIVEstimator",
    "RidgeSieveIV",
    "SieveIV",
    "TwoStageRidge",
    "deep_gmm",
    "deep_gmm_objective",
    "deep_gmm_predict",
    "deep_iv",
    "deep_iv_predict",
    "default_penalties",
    "density_objective",
    "dfiv",
    "dfiv_objective",
    "dfiv_predict",
    "evaluate_basis",
    "ivl_objective",
    "kernel_iv",
    "kernel_ivl",
    "kernel_mmr",
    "kernel_predict",
    "kernel_ridge",
    "make_basis",
    "moment_risk",
    "neural_ivl",
    "neural_ivl_predict",
    "nystroem_kernel_iv",
    "nystroem_kernel_mmr",
    "nystroem_kernel_ridge",
    "select_kernel_ivl",
    "structural_objective",
    "two_stage_ridge",
]
