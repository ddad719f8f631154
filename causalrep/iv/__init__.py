"""Instrumental variables: is there a source of variation outside the confounder?"""

from causalrep.iv.ivl.kernel import KernelIVL
from causalrep.iv.ivl.linear import IVLRegression
from causalrep.iv.ivl.neural import NeuralIVL
from causalrep.iv.ivl.objective import ivl_objective
from causalrep.iv.ivl.path import IVLPath, constrained_ivl, erm, ivl, ivl_path, min_norm_iv, projected_ivl
from causalrep.iv.ivl.selection import confounder_corrected_norm, discretize, held_out_levels, level_ids
from causalrep.iv.linear.base import LinearIVEstimator
from causalrep.iv.linear.estimators import (
    JIVE,
    LIML,
    OLS,
    AnchorRegression,
    Fuller,
    KClass,
    TwoStageLeastSquares,
)
from causalrep.iv.linear.gmm import GMM, gmm
from causalrep.iv.linear.kclass import (
    LinearFit,
    anchor_regression,
    fuller,
    jive,
    k_class,
    liml,
    ols,
    two_stage_least_squares,
)
from causalrep.iv.linear.pulse import PULSE, pulse
from causalrep.iv.nonlinear import (
    DFIV,
    DeepGMM,
    DeepIV,
    KernelIV,
    KernelMMR,
    NonlinearIVEstimator,
    RidgeSieveIV,
    SieveIV,
)
from causalrep.iv.system import System
from causalrep.iv.weak import anderson_rubin_set, clr_set, lm_set, lr_set
from causalrep.iv.weak.confidence_set import ConfidenceSet

__all__ = [
    "DFIV",
    "GMM",
    "JIVE",
    "LIML",
    "OLS",
    "PULSE",
    "AnchorRegression",
    "ConfidenceSet",
    "DeepGMM",
    "DeepIV",
    "Fuller",
    "IVLPath",
    "IVLRegression",
    "KClass",
    "KernelIV",
    "KernelIVL",
    "KernelMMR",
    "LinearFit",
    "LinearIVEstimator",
    "NeuralIVL",
    "NonlinearIVEstimator",
    "RidgeSieveIV",
    "SieveIV",
    "System",
    "TwoStageLeastSquares",
    "anchor_regression",
    "anderson_rubin_set",
    "clr_set",
    "confounder_corrected_norm",
    "constrained_ivl",
    "discretize",
    "erm",
    "fuller",
    "gmm",
    "held_out_levels",
    "ivl",
    "ivl_objective",
    "ivl_path",
    "jive",
    "k_class",
    "level_ids",
    "liml",
    "lm_set",
    "lr_set",
    "min_norm_iv",
    "ols",
    "projected_ivl",
    "pulse",
    "two_stage_least_squares",
]
