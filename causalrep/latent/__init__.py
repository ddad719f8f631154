"""Identifiable latent causal models: which causal variables generated this, and what would they have done elsewhere?

What is identified rests on assumptions that no data can check; each estimator's summary names its own.
"""

from causalrep.latent.canonical import CanonicalForm, canonical_form
from causalrep.latent.ild import Affine, ILDModel, Mixing, counterfactual, log_likelihood, noise_of, observe
from causalrep.latent.ild_annealing import Annealed, fit_ild_annealed
from causalrep.latent.ild_estimator import ILD
from causalrep.latent.ild_evaluation import counterfactual_error, true_counterfactuals, true_model
from causalrep.latent.ild_family import KINDS, ILDFamily, ILDParams
from causalrep.latent.ild_fit import ILDRows, fit_ild
from causalrep.latent.scm import LatentSCM, intervention_set

__all__ = [
    "ILD",
    "KINDS",
    "Affine",
    "Annealed",
    "CanonicalForm",
    "ILDFamily",
    "ILDModel",
    "ILDParams",
    "ILDRows",
    "LatentSCM",
    "Mixing",
    "canonical_form",
    "counterfactual",
    "counterfactual_error",
    "fit_ild",
    "fit_ild_annealed",
    "intervention_set",
    "log_likelihood",
    "noise_of",
    "observe",
    "true_counterfactuals",
    "true_model",
]
