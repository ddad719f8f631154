"""Identifiable latent causal models: which causal variables generated the data, and what would they be elsewhere?

What is identified rests on assumptions that no data can check; each estimator's summary or documentation names its own.
Networks, parameters and results of intermediate steps are in the methods' own modules.
"""

from causalrep.latent.hca.estimator import HCA
from causalrep.latent.hca.fit import bootstrap_orders, unmix_domains
from causalrep.latent.hca.model import hierarchy, search_orders
from causalrep.latent.hca.naming import name_latents
from causalrep.latent.hca.soft_impute import soft_impute
from causalrep.latent.ica import fast_ica
from causalrep.latent.ild.annealing import fit_ild_annealed
from causalrep.latent.ild.canonical import canonical_form
from causalrep.latent.ild.estimator import ILD
from causalrep.latent.ild.evaluation import counterfactual_error, true_counterfactuals
from causalrep.latent.ild.family import ILDFamily
from causalrep.latent.ild.fit import fit_ild
from causalrep.latent.ild.images import ILDVAE, fit_ild_vae, ild_vae_objective
from causalrep.latent.ild.model import counterfactual, log_likelihood, noise_of, observe
from causalrep.latent.interventions.cauca import CauCA, cauca_objective
from causalrep.latent.interventions.contrastive import ContrastiveCRL, contrastive_objective
from causalrep.latent.interventions.disentanglement import LinearDisentanglement, linear_disentanglement
from causalrep.latent.interventions.lscale import LSCALEI, gaussian_score_changes, lscale
from causalrep.latent.interventions.moments import moments_of, sample_moments
from causalrep.latent.interventions.polynomial import (
    PolynomialDisentanglement,
    constant_directions,
    reconstruction_objective,
)
from causalrep.latent.personax.estimator import PersonaX
from causalrep.latent.personax.fit import fit_multimodal
from causalrep.latent.personax.identification import identification
from causalrep.latent.personax.objective import multimodal_objective
from causalrep.latent.segments.iflow import IFlow, segment_flow_objective
from causalrep.latent.segments.tcl import TCL, tcl_objective
from causalrep.latent.segments.vae import IVAE, BetaVAE, elbo_objective
from causalrep.latent.series.temporal_flow import TemporalFlow, temporal_flow_objective
from causalrep.training import Schedule

__all__ = [
    "HCA",
    "ILD",
    "ILDVAE",
    "IVAE",
    "LSCALEI",
    "TCL",
    "BetaVAE",
    "CauCA",
    "ContrastiveCRL",
    "IFlow",
    "ILDFamily",
    "LinearDisentanglement",
    "PersonaX",
    "PolynomialDisentanglement",
    "Schedule",
    "TemporalFlow",
    "bootstrap_orders",
    "canonical_form",
    "cauca_objective",
    "constant_directions",
    "contrastive_objective",
    "counterfactual",
    "counterfactual_error",
    "elbo_objective",
    "fast_ica",
    "fit_ild",
    "fit_ild_annealed",
    "fit_ild_vae",
    "fit_multimodal",
    "gaussian_score_changes",
    "hierarchy",
    "identification",
    "ild_vae_objective",
    "linear_disentanglement",
    "log_likelihood",
    "lscale",
    "moments_of",
    "multimodal_objective",
    "name_latents",
    "noise_of",
    "observe",
    "reconstruction_objective",
    "sample_moments",
    "search_orders",
    "segment_flow_objective",
    "soft_impute",
    "tcl_objective",
    "temporal_flow_objective",
    "true_counterfactuals",
    "unmix_domains",
]
