"""Networks for treatment effects as pure functions: CFR (TARNet, BNN), DragonNet, SNet, and a perceptron as a nuisance.

The first three are learners of ``tau(x)`` as those of :mod:`causalrep.effects.meta` are: frozen dataclasses with
``fit(data, key) -> params`` and ``predict(params, x) -> tau``, whose whole training is one scan, so that seeds and
replications vmap. The classes with ``fit(Y, T, X=X)`` are in :mod:`causalrep.effects`.
"""

from causalrep.effects.networks.cfr import CFRLearner, cfr_objective
from causalrep.effects.networks.dragonnet import DragonLearner, dragonnet_objective
from causalrep.effects.networks.fitting import NetworkFit
from causalrep.effects.networks.learner import Heads
from causalrep.effects.networks.regression import MLPRegression, mlp_objective
from causalrep.effects.networks.snet import SNetLearner, orthogonality, snet_objective
from causalrep.effects.networks.units import Units, standardize

__all__ = [
    "CFRLearner",
    "DragonLearner",
    "Heads",
    "MLPRegression",
    "NetworkFit",
    "SNetLearner",
    "Units",
    "cfr_objective",
    "dragonnet_objective",
    "mlp_objective",
    "orthogonality",
    "snet_objective",
    "standardize",
]
