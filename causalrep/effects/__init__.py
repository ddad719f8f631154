"""Treatment effects given covariates: what does T do to Y, and for whom?"""

from causalrep.effects import meta
from causalrep.effects.linear import LeastSquares, Logistic, Ridge
from causalrep.effects.nonparametric import KernelRidge, NearestNeighbours

__all__ = ["KernelRidge", "LeastSquares", "Logistic", "NearestNeighbours", "Ridge", "meta"]
