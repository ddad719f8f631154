"""Removing confounders of two modalities by causal information minimization."""

from causalrep.multimodal.debiasing.coding_rate import coding_rate
from causalrep.multimodal.debiasing.estimators import ATEDClassifier, TEDClassifier, UnimodalDebiasing
from causalrep.multimodal.debiasing.sufficiency import Sufficiency, sufficiency

__all__ = [
    "ATEDClassifier",
    "Sufficiency",
    "TEDClassifier",
    "UnimodalDebiasing",
    "coding_rate",
    "sufficiency",
]
