"""Variational models of unobserved confounders: what if a confounder was not measured?

>>> import numpy as np
>>> from causalrep.confounders import VLUCI
>>> VLUCI(latent="two_point", dim=1).get_params()["use"]
'multiple'
"""

from causalrep.confounders.bayesian import BayesianConfounder, confounder_program
from causalrep.confounders.bounds import Bounds, bounds, vluci_objective
from causalrep.confounders.cevae import CEVAEFit, CEVAEModel, CEVAETraining, cevae, cevae_objective, cevae_outcomes
from causalrep.confounders.cevae_estimator import CEVAE
from causalrep.confounders.closed_forms import affine_posterior, generalized_residual, inverse_mills
from causalrep.confounders.coding_rate import coding_rate
from causalrep.confounders.confounded_law import Confounded
from causalrep.confounders.control_function import ControlFunction, SelectionFit, control_function
from causalrep.confounders.deconfounder import Deconfounder, FactorModel, factor_model, predictive_score
from causalrep.confounders.demographics import Demographics
from causalrep.confounders.demovae import DemoVAEFit, DemoVAEModel, DemoVAETraining, demovae, demovae_objective
from causalrep.confounders.demovae_estimator import DemoVAE
from causalrep.confounders.estimator import VLUCI
from causalrep.confounders.identification import FamilyFit, IdentificationReport
from causalrep.confounders.information_minimization import ATEDClassifier, TEDClassifier, UnimodalDebiasing
from causalrep.confounders.intact_vae import (
    IntactVAEFit,
    IntactVAEModel,
    IntactVAETraining,
    intact_vae,
    intact_vae_objective,
    intact_vae_outcomes,
)
from causalrep.confounders.intact_vae_estimator import IntactVAE
from causalrep.confounders.leakage import Leakage, leakage
from causalrep.confounders.mixture import MixtureFit, two_point_em
from causalrep.confounders.model import LatentModel
from causalrep.confounders.residualization import LinearResidualizer, Residualization, residualization
from causalrep.confounders.sufficiency import Sufficiency, sufficiency
from causalrep.confounders.vluci import (
    Training,
    VLUCIFit,
    counterfactual_draws,
    decoded_outcomes,
    posterior,
    vluci,
)

__all__ = [
    "CEVAE",
    "VLUCI",
    "ATEDClassifier",
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
    "Sufficiency",
    "TEDClassifier",
    "Training",
    "UnimodalDebiasing",
    "VLUCIFit",
    "affine_posterior",
    "bounds",
    "cevae",
    "cevae_objective",
    "cevae_outcomes",
    "coding_rate",
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
    "sufficiency",
    "two_point_em",
    "vluci",
    "vluci_objective",
]
