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
from causalrep.data.fashion_mnist import LabelledImages
from causalrep.data.folder import data_folder
from causalrep.data.iv_designs import IVSample, linear_iv
from causalrep.data.ivl_designs import LinearSample, LinearSEM, draw_linear, sample_linear_sem
from causalrep.data.news import NewsSample, draw_news
from causalrep.data.optical_device import PAPER_EXPERIMENTS, OpticalDevice
from causalrep.data.tables import IVTable

__all__ = [
    "PAPER_EXPERIMENTS",
    "Augmentation",
    "Augmented",
    "EffectBenchmark",
    "EffectSample",
    "EffectTable",
    "IVSample",
    "IVTable",
    "LabelledImages",
    "LinearSEM",
    "LinearSample",
    "NewsSample",
    "OpticalDevice",
    "available",
    "compose",
    "data_folder",
    "draw_linear",
    "draw_news",
    "gaussian_noise",
    "linear_iv",
    "load",
    "polynomial_features",
    "random_flip",
    "random_permutation",
    "sample_linear_sem",
    "translate",
]
