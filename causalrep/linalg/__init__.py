"""Linear algebra that several rooms use: decompositions and solvers, two regressions, matrices over pairs of rows."""

from causalrep.linalg.pairs import centered_kernel, hsic_statistic, squared_distances
from causalrep.linalg.regressions import lasso, logistic_regression
from causalrep.linalg.solvers import (
    eigh,
    min_norm_solve,
    orthonormal_basis,
    pinv_psd_solve,
    project,
    residualize,
    spd_solve,
    svd,
)

__all__ = [
    "centered_kernel",
    "eigh",
    "hsic_statistic",
    "lasso",
    "logistic_regression",
    "min_norm_solve",
    "orthonormal_basis",
    "pinv_psd_solve",
    "project",
    "residualize",
    "spd_solve",
    "squared_distances",
    "svd",
]
