"""What if a confounder was not measured? Models of hidden confounders, and removal of measured ones from data.

>>> import numpy as np
>>> from causalrep.confounders import VLUCI
>>> VLUCI(latent="two_point", dim=1).get_params()["use"]
'multiple'
"""

from causalrep.confounders.bayesian import BayesianConfounder
from causalrep.confounders.cevae import CEVAE, CEVAEModel, cevae, cevae_objective, cevae_outcomes
from causalrep.confounders.confounded_law import Confounded
from causalrep.confounders.control_function import ControlFunction, control_function
from causalrep.confounders.deconfounder import Deconfounder, factor_model, predictive_score
from causalrep.confounders.intact_vae import (
    IntactVAE,
    IntactVAEModel,
    intact_vae,
    intact_vae_objective,
    intact_vae_outcomes,
)
from causalrep.confounders.mixture import two_point_em
from causalrep.confounders.removal.demographics import Demographics
from causalrep.confounders.removal.demovae.estimator import DemoVAE
from causalrep.confounders.removal.demovae.fit import demovae
from causalrep.confounders.removal.demovae.model import DemoVAEModel
from causalrep.confounders.removal.demovae.objective import demovae_objective
from causalrep.confounders.removal.leakage import leakage
from causalrep.confounders.removal.residualization import LinearResidualizer, residualization
from causalrep.confounders.vluci.estimator import VLUCI
from causalrep.confounders.vluci.fit import counterfactual_draws, decoded_outcomes, posterior, vluci
from causalrep.confounders.vluci.model import LatentModel
from causalrep.confounders.vluci.objective import bounds, vluci_objective

__all__ = [
    "CEVAE",
    "VLUCI",
    "BayesianConfounder",
    "CEVAEModel",
    "Confounded",
    "ControlFunction",
    "Deconfounder",
    "DemoVAE",
    "DemoVAEModel",
    "Demographics",
    "IntactVAE",
    "IntactVAEModel",
    "LatentModel",
    "LinearResidualizer",
    "bounds",
    "cevae",
    "cevae_objective",
    "cevae_outcomes",
    "control_function",
    "counterfactual_draws",
    "decoded_outcomes",
    "demovae",
    "demovae_objective",
    "factor_model",
    "intact_vae",
    "intact_vae_objective",
    "intact_vae_outcomes",
    "leakage",
    "posterior",
    "predictive_score",
    "residualization",
    "two_point_em",
    "vluci",
    "vluci_objective",
]
