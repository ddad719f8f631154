"""Variational models of unobserved confounders: what if a confounder was not measured?

>>> import numpy as np
>>> from causalrep.confounders import VLUCI
>>> VLUCI(latent="two_point", dim=1).get_params()["use"]
'multiple'
"""

from causalrep.confounders.bounds import Bounds, bounds, vluci_objective
from causalrep.confounders.closed_forms import affine_posterior, generalized_residual, inverse_mills
from causalrep.confounders.estimator import VLUCI
from causalrep.confounders.identification import FamilyFit, IdentificationReport
from causalrep.confounders.model import LatentModel
from causalrep.confounders.vluci import (
    Training,
    VLUCIFit,
    counterfactual_draws,
    decoded_outcomes,
    posterior,
    vluci,
)

__all__ = [
    "VLUCI",
    "Bounds",
    "FamilyFit",
    "IdentificationReport",
    "LatentModel",
    "Training",
    "VLUCIFit",
    "affine_posterior",
    "bounds",
    "counterfactual_draws",
    "decoded_outcomes",
    "generalized_residual",
    "inverse_mills",
    "posterior",
    "vluci",
    "vluci_objective",
]
