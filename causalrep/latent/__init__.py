"""Identifiable latent causal models: which causal variables generated this, and what would they have done elsewhere?

What is identified rests on assumptions that no data can check; each estimator's summary names its own.
"""

from causalrep.latent.canonical import CanonicalForm, canonical_form
from causalrep.latent.flow_mixing import FlowMixing, flow_forward, flow_inverse, init_flow
from causalrep.latent.gated_flow import GatedFlow, flow_log_density
from causalrep.latent.hca import (
    Hierarchy,
    OrderSearch,
    hierarchy,
    in_order,
    inexactness,
    search_orders,
    structural_weights,
    subspace_distance,
)
from causalrep.latent.hca_estimator import HCA, OrderDraws, Padded, bootstrap_orders, pad, unmix_domains
from causalrep.latent.hca_naming import Named, name_latents
from causalrep.latent.ica import ICA, fast_ica
from causalrep.latent.ild import Affine, ILDModel, Mixing, counterfactual, log_likelihood, noise_of, observe
from causalrep.latent.ild_annealing import Annealed, fit_ild_annealed
from causalrep.latent.ild_estimator import ILD
from causalrep.latent.ild_evaluation import counterfactual_error, true_counterfactuals, true_model
from causalrep.latent.ild_family import KINDS, ILDFamily, ILDParams
from causalrep.latent.ild_fit import ILDRows, fit_ild
from causalrep.latent.ild_vae import DomainImages, ILDVAEModel, fit_ild_vae, ild_vae_objective, ild_vae_optimizer
from causalrep.latent.ild_vae_estimator import ILDVAE
from causalrep.latent.multimodal import MultimodalSpec, MultimodalVAE, Weights, multimodal_objective, open_gates
from causalrep.latent.multimodal_estimator import PersonaX, fit_multimodal
from causalrep.latent.multimodal_identification import identification
from causalrep.latent.reference.cauca import CausalFlow, cauca_objective
from causalrep.latent.reference.contrastive import ContrastiveModel, Penalties, contrastive_objective
from causalrep.latent.reference.disentanglement import Disentangled, linear_disentanglement
from causalrep.latent.reference.flow_estimators import CauCA, IFlow, TemporalFlow
from causalrep.latent.reference.linear_estimators import LSCALEI, LinearDisentanglement
from causalrep.latent.reference.lscale import ScoreBased, gaussian_score_changes, lscale
from causalrep.latent.reference.moments import Moments, moments_of, sample_moments
from causalrep.latent.reference.neural_estimators import IVAE, TCL, BetaVAE, ContrastiveCRL
from causalrep.latent.reference.polynomial import (
    PolynomialAutoencoder,
    constant_directions,
    reconstruction_objective,
)
from causalrep.latent.reference.polynomial_estimator import PolynomialDisentanglement
from causalrep.latent.reference.rows import CodedRows, Schedule, coded_rows, fit_best
from causalrep.latent.reference.segment_flow import SegmentFlow, segment_flow_objective
from causalrep.latent.reference.tcl import SegmentClassifier, tcl_objective
from causalrep.latent.reference.temporal_flow import TemporalFlowModel, temporal_flow_objective
from causalrep.latent.reference.vae import VAE, elbo_objective
from causalrep.latent.scm import LatentSCM, intervention_set
from causalrep.latent.soft_impute import soft_impute

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
