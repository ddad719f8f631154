"""Variational models of unobserved confounders: what if a confounder was not measured?

>>> import numpy as np
>>> from causalrep.confounders import VLUCI
>>> VLUCI(latent="two_point", dim=1).get_params()["use"]
'multiple'
"""

from causalrep.confounders.bayesian import BayesianConfounder, confounder_program
from causalrep.confounders.cevae import CEVAEFit, CEVAEModel, CEVAETraining, cevae, cevae_objective, cevae_outcomes
from causalrep.confounders.cevae_estimator import CEVAE
from causalrep.confounders.closed_forms import affine_posterior, generalized_residual, inverse_mills
from causalrep.confounders.confounded_law import Confounded
from causalrep.confounders.control_function import ControlFunction, SelectionFit, control_function
from causalrep.confounders.deconfounder import Deconfounder, FactorModel, factor_model, predictive_score
from causalrep.confounders.intact_vae import (
    IntactVAEFit,
    IntactVAEModel,
    IntactVAETraining,
    intact_vae,
    intact_vae_objective,
    intact_vae_outcomes,
)
from causalrep.confounders.intact_vae_estimator import IntactVAE
from causalrep.confounders.mixture import MixtureFit, two_point_em
from causalrep.confounders.removal.demographics import Demographics
from causalrep.confounders.removal.demovae import DemoVAEFit, DemoVAEModel, DemoVAETraining, demovae, demovae_objective
from causalrep.confounders.removal.demovae_estimator import DemoVAE
from causalrep.confounders.removal.leakage import Leakage, leakage
from causalrep.confounders.removal.residualization import LinearResidualizer, Residualization, residualization
from causalrep.confounders.vluci.estimator import VLUCI
from causalrep.confounders.vluci.fit import (
    Training,
    VLUCIFit,
    counterfactual_draws,
    decoded_outcomes,
    posterior,
    vluci,
)
from causalrep.confounders.vluci.identification import FamilyFit, IdentificationReport
from causalrep.confounders.vluci.model import LatentModel
from causalrep.confounders.vluci.objective import Bounds, bounds, vluci_objective

__all__ = [
    "CEVAE",
    "VLUCI",
    "BayesianConfounder",
    "Bounds",
    "CEVAEFit",
    "CEVAEModel",
    "CEVAETraining",
    "Confounded",
    "ControlFunction",
    "Deconfounder",
    "DemoVAE",
    "DemoVAEFit",
    "DemoVAEModel",
    "DemoVAETraining",
    "Demographics",
    "FactorModel",
    "FamilyFit",
    "IdentificationReport",
    "IntactVAE",
    "IntactVAEFit",
    "IntactVAEModel",
    "IntactVAETraining",
    "LatentModel",
    "Leakage",
    "LinearResidualizer",
    "MixtureFit",
    "Residualization",
    "SelectionFit",
    "Training",
    "VLUCIFit",
    "affine_posterior",
    "bounds",
    "cevae",
    "cevae_objective",
    "cevae_outcomes",
    "confounder_program",
    "control_function",
    "counterfactual_draws",
    "decoded_outcomes",
    "demovae",
    "demovae_objective",
    "factor_model",
    "generalized_residual",
    "intact_vae",
    "intact_vae_objective",
    "intact_vae_outcomes",
    "inverse_mills",
    "leakage",
    "posterior",
    "predictive_score",
    "residualization",
    "two_point_em",
    "vluci",
    "vluci_objective",
]
