"""The world: real data sets with checksums, and simulators as pure functions of a key.

:func:`load` loads a data set by name, :func:`available` lists the names, and :func:`load_rows` reads rows from disk one
at a time. Result types that callers need not name are in the modules of their simulators.

>>> from causalrep.data import load
>>> card = load("card")
>>> card.Y.name, card.T.name, list(card.Z)
('lwage', 'educ', ['nearc2', 'nearc4'])
"""

from causalrep.data.augmentation import (
    Augmentation,
    Augmented,
    compose,
    gaussian_noise,
    polynomial_features,
    random_flip,
    random_permutation,
    translate,
)
from causalrep.data.catalogue import available, load
from causalrep.data.images.colored_digits import color_digits, jitter_translate
from causalrep.data.images.fashion_mnist import LabelledImages
from causalrep.data.images.mnist import Digits
from causalrep.data.images.optical_device import OpticalDevice
from causalrep.data.images.rotated_images import colored_domains, rotated_domains
from causalrep.data.rows import load_rows
from causalrep.data.simulators.confounders.connectivity import draw_fc, fc_population
from causalrep.data.simulators.confounders.hidden import HiddenConfounderSample, hidden_confounder
from causalrep.data.simulators.confounders.ihdp_hidden import draw_ihdp_hidden, ihdp_hidden
from causalrep.data.simulators.confounders.proxies import causalml_hidden_confounder, noisy_copies
from causalrep.data.simulators.effects.news import draw_news
from causalrep.data.simulators.iv.linear import linear_iv
from causalrep.data.simulators.iv.nonlinear import agmm_zoo, demand, newey_powell, sine, zoo
from causalrep.data.simulators.iv.symmetry import LinearSEM, draw_linear, nonlinear_ivl, sample_linear_sem
from causalrep.data.simulators.latent.environments import (
    buchholz_simulation,
    cauca_simulation,
    segments_simulation,
    squires_model,
    varici_model,
)
from causalrep.data.simulators.latent.hca import hca_simulation
from causalrep.data.simulators.latent.ild import ild_simulation
from causalrep.data.simulators.latent.ild_flow import ild_flow_simulation
from causalrep.data.simulators.latent.mechanisms import EnvironmentRows, Interventions, draw_latents, one_per_latent
from causalrep.data.simulators.latent.personax import persona_simulation, trait_simulation
from causalrep.data.simulators.latent.series import leap_simulation
from causalrep.data.simulators.latent.supports import ahuja_simulation
from causalrep.data.simulators.multimodal.vqa import prior_shift_vqa, vqa_prototypes
from causalrep.data.sources.folder import data_folder
from causalrep.data.tables.connectivity_cohort import ConnectivityCohort
from causalrep.data.tables.econometric import IVTable
from causalrep.data.tables.open_llm_leaderboard import Leaderboard
from causalrep.data.tables.types import EffectBenchmark, EffectSample, EffectTable

__all__ = [
    "Augmentation",
    "Augmented",
    "ConnectivityCohort",
    "Digits",
    "EffectBenchmark",
    "EffectSample",
    "EffectTable",
    "EnvironmentRows",
    "HiddenConfounderSample",
    "IVTable",
    "Interventions",
    "LabelledImages",
    "Leaderboard",
    "LinearSEM",
    "OpticalDevice",
    "agmm_zoo",
    "ahuja_simulation",
    "available",
    "buchholz_simulation",
    "cauca_simulation",
    "causalml_hidden_confounder",
    "color_digits",
    "colored_domains",
    "compose",
    "data_folder",
    "demand",
    "draw_fc",
    "draw_ihdp_hidden",
    "draw_latents",
    "draw_linear",
    "draw_news",
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
    "sine",
    "squires_model",
    "trait_simulation",
    "translate",
    "varici_model",
    "vqa_prototypes",
    "zoo",
]
