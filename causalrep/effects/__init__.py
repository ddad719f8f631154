"""Treatment effects given covariates: what does T do to Y, and for whom?

>>> import numpy as np
>>> from causalrep.effects import DRLearner
>>> rng = np.random.default_rng(0)
>>> x, u = rng.normal(size=(4000, 2)), rng.uniform(size=4000)
>>> t = (u < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
>>> y = x[:, 0] + t * (1 + x[:, 1]) + rng.normal(size=4000)
>>> model = DRLearner().fit(y, t, X=x)
>>> model.effect(np.array([[0.0, -1.0], [0.0, 1.0]])).round(0).tolist()
[0.0, 2.0]
>>> low, high = model.ate_interval()
>>> bool(low < 1 < high)
True
"""

from causalrep.effects import meta
from causalrep.effects.base import AIPW, EffectEstimator
from causalrep.effects.learners import DRLearner, RLearner, SLearner, TLearner, XLearner
from causalrep.effects.linear import LeastSquares, Logistic, Ridge
from causalrep.effects.nonparametric import KernelRidge, NearestNeighbours

__all__ = [
    "AIPW",
    "DRLearner",
    "EffectEstimator",
    "KernelRidge",
    "LeastSquares",
    "Logistic",
    "NearestNeighbours",
    "RLearner",
    "Ridge",
    "SLearner",
    "TLearner",
    "XLearner",
    "meta",
]
