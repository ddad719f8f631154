"""Linear algebra that several rooms use: decompositions and solvers, two regressions, scaling, pairs of rows.

For use inside the library: it is not a public room, so it has no ``__all__``.
"""

from causalrep.linalg.pairs import centered_kernel as centered_kernel
from causalrep.linalg.pairs import hsic_statistic as hsic_statistic
from causalrep.linalg.pairs import squared_distances as squared_distances
from causalrep.linalg.regressions import generalized_residual as generalized_residual
from causalrep.linalg.regressions import lasso as lasso
from causalrep.linalg.regressions import logistic_regression as logistic_regression
from causalrep.linalg.regressions import probit_regression as probit_regression
from causalrep.linalg.scaling import standardized as standardized
from causalrep.linalg.scaling import standardizer as standardizer
from causalrep.linalg.scaling import varies as varies
from causalrep.linalg.solvers import eigh as eigh
from causalrep.linalg.solvers import from_unit_columns as from_unit_columns
from causalrep.linalg.solvers import min_norm_solve as min_norm_solve
from causalrep.linalg.solvers import orthonormal_basis as orthonormal_basis
from causalrep.linalg.solvers import pinv_psd_solve as pinv_psd_solve
from causalrep.linalg.solvers import project as project
from causalrep.linalg.solvers import rank_tolerance as rank_tolerance
from causalrep.linalg.solvers import residualize as residualize
from causalrep.linalg.solvers import spd_solve as spd_solve
from causalrep.linalg.solvers import svd as svd
from causalrep.linalg.solvers import unit_columns as unit_columns
