"""Networks for treatment effects as pure functions: CFR (TARNet, BNN), DragonNet, SNet, and a perceptron as a nuisance.

The first three are learners of ``tau(x)`` as those of :mod:`causalrep.effects.meta` are: frozen dataclasses with
``fit(data, key) -> params`` and ``predict(params, x) -> tau``. A whole training is one scan, so that seeds and
replications can be vmapped. The classes with ``fit(Y, T, X=X)`` are exported by :mod:`causalrep.effects`; each is in
the file of its method.
"""

from causalrep.effects.networks.cfr import CFRLearner, cfr_objective
from causalrep.effects.networks.dragonnet import DragonLearner, dragonnet_objective
from causalrep.effects.networks.regression import MLPRegression, mlp_objective
from causalrep.effects.networks.snet import SNetLearner, snet_objective

__all__ = [
    "CFRLearner",
    "DragonLearner",
    "MLPRegression",
    "SNetLearner",
    "cfr_objective",
    "dragonnet_objective",
    "mlp_objective",
    "snet_objective",
]
