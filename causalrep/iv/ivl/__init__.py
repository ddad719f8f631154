"""IV-like regression (IVL): instruments, or a symmetry of the outcome, that lower the confounding bias."""

from causalrep.iv.ivl.kernel import kernel_ivl, select_kernel_ivl
from causalrep.iv.ivl.neural import neural_ivl, neural_ivl_predict
from causalrep.iv.ivl.objective import ivl_objective

__all__ = [
    "ivl_objective",
    "kernel_ivl",
    "neural_ivl",
    "neural_ivl_predict",
    "select_kernel_ivl",
]
