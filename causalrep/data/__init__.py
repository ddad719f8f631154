"""The world: real data sets, checksummed and cached, and simulators as pure functions of a key.

>>> from causalrep.data import load
>>> card = load("card")
>>> card.Y.name, card.T.name, list(card.Z)
('lwage', 'educ', ['nearc2', 'nearc4'])
"""

from causalrep.data.augment import (
    Augmentation,
    Augmented,
    compose,
    gaussian_noise,
    polynomial_features,
    random_flip,
    random_permutation,
    translate,
)
from causalrep.data.benchmark import EffectBenchmark, EffectSample, EffectTable
from causalrep.data.catalogue import available, load
from causalrep.data.colored_digits import ColoredDigits, color_digits, jitter_translate
from causalrep.data.connectivity_cohort import ConnectivityCohort
from causalrep.data.crl_designs import (
    CausalRows,
    LinearCRLModel,
    buchholz_simulation,
    cauca_simulation,
    edge_signals,
    segments_simulation,
    squires_model,
    varici_model,
)
from causalrep.data.crl_mechanisms import EnvironmentRows, Interventions, draw_latents, one_per_latent, varsortability
from causalrep.data.crl_support_designs import ahuja_simulation
from causalrep.data.crl_time_designs import leap_simulation
from causalrep.data.fashion_mnist import LabelledImages
from causalrep.data.fc_designs import FCPopulation, FCSample, draw_fc, fc_population
from causalrep.data.folder import data_folder
from causalrep.data.hca_designs import HCASample, hca_simulation
from causalrep.data.hidden_confounder_designs import (
    HiddenConfounderSample,
    hidden_confounder,
)
from causalrep.data.ihdp_hidden import HiddenIHDP, draw_ihdp_hidden, ihdp_hidden
from causalrep.data.ild_designs import ILDData, ILDSample, ILDTruth, ild_simulation
from causalrep.data.ild_flow_designs import ILDFlowData, ILDFlowTruth, ild_flow_simulation
from causalrep.data.iv_designs import IVSample, linear_iv
from causalrep.data.ivl_designs import (
    LinearSample,
    LinearSEM,
    NonlinearIVLSample,
    draw_linear,
    nonlinear_ivl,
    sample_linear_sem,
)
from causalrep.data.mnist import Digits
from causalrep.data.news import NewsSample, draw_news
from causalrep.data.nonlinear_iv_designs import (
    ZOO_FUNCTIONS,
    NonlinearIVSample,
    agmm_zoo,
    demand,
    demand_function,
    newey_powell,
    sine,
    zoo,
)
from causalrep.data.open_llm_leaderboard import Leaderboard
from causalrep.data.optical_device import PAPER_EXPERIMENTS, OpticalDevice
from causalrep.data.persona_designs import PersonaSample, TraitSample, persona_simulation, trait_simulation
from causalrep.data.proxy_designs import causalml_hidden_confounder, noisy_copies
from causalrep.data.rotated_images import RotatedImages, colored_domains, rotated_domains, shrunk
from causalrep.data.rows import load_rows
from causalrep.data.tables import IVTable
from causalrep.data.vqa_designs import (
    VQAPrototypes,
    VQASample,
    answer_prior,
    bayes_answers,
    prior_shift_vqa,
    vqa_prototypes,
)

__all__ = [
    "PAPER_EXPERIMENTS",
    "ZOO_FUNCTIONS",
    "Augmentation",
    "Augmented",
    "CausalRows",
    "ColoredDigits",
    "ConnectivityCohort",
    "Digits",
    "EffectBenchmark",
    "EffectSample",
    "EffectTable",
    "EnvironmentRows",
    "FCPopulation",
    "FCSample",
    "HCASample",
    "HiddenConfounderSample",
    "HiddenIHDP",
    "ILDData",
    "ILDFlowData",
    "ILDFlowTruth",
    "ILDSample",
    "ILDTruth",
    "IVSample",
    "IVTable",
    "Interventions",
    "LabelledImages",
    "Leaderboard",
    "LinearCRLModel",
    "LinearSEM",
    "LinearSample",
    "NewsSample",
    "NonlinearIVLSample",
    "NonlinearIVSample",
    "OpticalDevice",
    "PersonaSample",
    "RotatedImages",
    "TraitSample",
    "VQAPrototypes",
    "VQASample",
    "agmm_zoo",
    "ahuja_simulation",
    "answer_prior",
    "available",
    "bayes_answers",
    "buchholz_simulation",
    "cauca_simulation",
    "causalml_hidden_confounder",
    "color_digits",
    "colored_domains",
    "compose",
    "data_folder",
    "demand",
    "demand_function",
    "draw_fc",
    "draw_ihdp_hidden",
    "draw_latents",
    "draw_linear",
    "draw_news",
    "edge_signals",
    "fc_population",
    "gaussian_noise",
    "hca_simulation",
    "hidden_confounder",
    "ihdp_hidden",
    "ild_flow_simulation",
    "ild_simulation",
    "jitter_translate",
    "leap_simulation",
    "linear_iv",
    "load",
    "load_rows",
    "newey_powell",
    "noisy_copies",
    "nonlinear_ivl",
    "one_per_latent",
    "persona_simulation",
    "polynomial_features",
    "prior_shift_vqa",
    "random_flip",
    "random_permutation",
    "rotated_domains",
    "sample_linear_sem",
    "segments_simulation",
    "shrunk",
    "sine",
    "squires_model",
    "trait_simulation",
    "translate",
    "varici_model",
    "varsortability",
    "vqa_prototypes",
    "zoo",
]
