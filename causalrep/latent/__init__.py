"""Identifiable latent causal models: which causal variables generated this, and what would they have done elsewhere?

What is identified rests on assumptions that no data can check; each estimator's summary names its own.
"""

from causalrep.latent.environments.rows import CodedRows, Schedule, coded_rows, fit_best
from causalrep.latent.hca.estimator import HCA, OrderDraws, Padded, bootstrap_orders, pad, unmix_domains
from causalrep.latent.hca.model import (
    Hierarchy,
    OrderSearch,
    hierarchy,
    in_order,
    inexactness,
    search_orders,
    structural_weights,
    subspace_distance,
)
from causalrep.latent.hca.naming import Named, name_latents
from causalrep.latent.hca.soft_impute import soft_impute
from causalrep.latent.ica import ICA, fast_ica
from causalrep.latent.ild.annealing import Annealed, fit_ild_annealed
from causalrep.latent.ild.canonical import CanonicalForm, canonical_form
from causalrep.latent.ild.estimator import ILD
from causalrep.latent.ild.evaluation import counterfactual_error, true_counterfactuals, true_model
from causalrep.latent.ild.family import KINDS, ILDFamily, ILDParams
from causalrep.latent.ild.fit import ILDRows, fit_ild
from causalrep.latent.ild.model import Affine, ILDModel, Mixing, counterfactual, log_likelihood, noise_of, observe
from causalrep.latent.ild.pictures import DomainImages, ILDVAEModel, fit_ild_vae, ild_vae_objective, ild_vae_optimizer
from causalrep.latent.ild.pictures_estimator import ILDVAE
from causalrep.latent.ild.scm import LatentSCM, intervention_set
from causalrep.latent.interventions.cauca import CausalFlow, cauca_objective
from causalrep.latent.interventions.cauca_estimator import CauCA, IFlow, TemporalFlow
from causalrep.latent.interventions.contrastive import ContrastiveModel, Penalties, contrastive_objective
from causalrep.latent.interventions.disentanglement import Disentangled, linear_disentanglement
from causalrep.latent.interventions.linear_estimators import LSCALEI, LinearDisentanglement
from causalrep.latent.interventions.lscale import ScoreBased, gaussian_score_changes, lscale
from causalrep.latent.interventions.moments import Moments, moments_of, sample_moments
from causalrep.latent.interventions.polynomial import (
    PolynomialAutoencoder,
    constant_directions,
    reconstruction_objective,
)
from causalrep.latent.interventions.polynomial_estimator import PolynomialDisentanglement
from causalrep.latent.personax.estimator import PersonaX, fit_multimodal
from causalrep.latent.personax.identification import identification
from causalrep.latent.personax.model import MultimodalSpec, MultimodalVAE, Weights, multimodal_objective, open_gates
from causalrep.latent.segments.estimators import IVAE, TCL, BetaVAE, ContrastiveCRL
from causalrep.latent.segments.iflow import SegmentFlow, segment_flow_objective
from causalrep.latent.segments.tcl import SegmentClassifier, tcl_objective
from causalrep.latent.segments.vae import VAE, elbo_objective
from causalrep.latent.series.temporal_flow import TemporalFlowModel, temporal_flow_objective
from causalrep.nn.flows.autoregressive import GatedFlow, flow_log_density
from causalrep.nn.flows.coupling import FlowMixing, flow_forward, flow_inverse, init_flow

__all__ = [
    "HCA",
    "ICA",
    "ILD",
    "ILDVAE",
    "IVAE",
    "KINDS",
    "LSCALEI",
    "TCL",
    "VAE",
    "Affine",
    "Annealed",
    "BetaVAE",
    "CanonicalForm",
    "CauCA",
    "CausalFlow",
    "CodedRows",
    "ContrastiveCRL",
    "ContrastiveModel",
    "Disentangled",
    "DomainImages",
    "FlowMixing",
    "GatedFlow",
    "Hierarchy",
    "IFlow",
    "ILDFamily",
    "ILDModel",
    "ILDParams",
    "ILDRows",
    "ILDVAEModel",
    "LatentSCM",
    "LinearDisentanglement",
    "Mixing",
    "Moments",
    "MultimodalSpec",
    "MultimodalVAE",
    "Named",
    "OrderDraws",
    "OrderSearch",
    "Padded",
    "Penalties",
    "PersonaX",
    "PolynomialAutoencoder",
    "PolynomialDisentanglement",
    "Schedule",
    "ScoreBased",
    "SegmentClassifier",
    "SegmentFlow",
    "TemporalFlow",
    "TemporalFlowModel",
    "Weights",
    "bootstrap_orders",
    "canonical_form",
    "cauca_objective",
    "coded_rows",
    "constant_directions",
    "contrastive_objective",
    "counterfactual",
    "counterfactual_error",
    "elbo_objective",
    "fast_ica",
    "fit_best",
    "fit_ild",
    "fit_ild_annealed",
    "fit_ild_vae",
    "fit_multimodal",
    "flow_forward",
    "flow_inverse",
    "flow_log_density",
    "gaussian_score_changes",
    "hierarchy",
    "identification",
    "ild_vae_objective",
    "ild_vae_optimizer",
    "in_order",
    "inexactness",
    "init_flow",
    "intervention_set",
    "linear_disentanglement",
    "log_likelihood",
    "lscale",
    "moments_of",
    "multimodal_objective",
    "name_latents",
    "noise_of",
    "observe",
    "open_gates",
    "pad",
    "reconstruction_objective",
    "sample_moments",
    "search_orders",
    "segment_flow_objective",
    "soft_impute",
    "structural_weights",
    "subspace_distance",
    "tcl_objective",
    "temporal_flow_objective",
    "true_counterfactuals",
    "true_model",
    "unmix_domains",
]
