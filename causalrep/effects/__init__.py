"""Treatment effects given covariates: what does T do to Y, and for whom?

>>> import numpy as np
>>> from causalrep.effects import DRLearner
>>> rng = np.random.default_rng(0)
>>> x, u = rng.normal(size=(4000, 2)), rng.uniform(size=4000)
>>> t = (u < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
>>> y = x[:, 0] + t * (1 + x[:, 1]) + rng.normal(size=4000)
>>> model = DRLearner().fit(y, t, X=x)
>>> model.effect(np.array([[0.0, 0.0], [0.0, 1.0]])).round(0).tolist()
[1.0, 2.0]
>>> low, high = model.ate_interval()
>>> bool(low < 1 < high)
True
"""

from causalrep.effects import meta
from causalrep.effects.aipw import AIPW
from causalrep.effects.base import EffectEstimator
from causalrep.effects.checks.balance import BalanceTable, balance_table
from causalrep.effects.checks.calibration import Calibration, calibration
from causalrep.effects.checks.overlap import OverlapReport, overlap_report, trim
from causalrep.effects.checks.refutation import Refutation, refute
from causalrep.effects.checks.sensitivity import (
    EValue,
    OLSSensitivity,
    OmittedVariableBounds,
    e_value,
    e_value_of_difference,
    ols_sensitivity,
    omitted_variable_bounds,
)
from causalrep.effects.checks.uplift import UpliftCurve, qini_curve, uplift_curve
from causalrep.effects.forest import CausalForest
from causalrep.effects.learners import DRLearner, RLearner, SLearner, TLearner, XLearner
from causalrep.effects.matching import Matching
from causalrep.effects.networks.cfr import BNN, CFRNet, TARNet
from causalrep.effects.networks.dragonnet import DragonNet
from causalrep.effects.networks.regression import MLPRegression
from causalrep.effects.networks.snet import SNet
from causalrep.effects.regressions.linear import LeastSquares, Logistic, Ridge
from causalrep.effects.regressions.nonparametric import KernelRidge, NearestNeighbours
from causalrep.effects.weighting import IPW

__all__ = [
    "AIPW",
    "BNN",
    "IPW",
    "BalanceTable",
    "CFRNet",
    "Calibration",
    "CausalForest",
    "DRLearner",
    "DragonNet",
    "EValue",
    "EffectEstimator",
    "KernelRidge",
    "LeastSquares",
    "Logistic",
    "MLPRegression",
    "Matching",
    "NearestNeighbours",
    "OLSSensitivity",
    "OmittedVariableBounds",
    "OverlapReport",
    "RLearner",
    "Refutation",
    "Ridge",
    "SLearner",
    "SNet",
    "TARNet",
    "TLearner",
    "UpliftCurve",
    "XLearner",
    "balance_table",
    "calibration",
    "e_value",
    "e_value_of_difference",
    "meta",
    "ols_sensitivity",
    "omitted_variable_bounds",
    "overlap_report",
    "qini_curve",
    "refute",
    "trim",
    "uplift_curve",
]
