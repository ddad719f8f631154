"""Removing confounders of two modalities by causal information minimization.

Each of ``te_d.py``, ``ate_d.py`` and ``unimodal.py`` holds a method and its class. They share the classifier of
``two_streams.py`` and the abstract base in ``base.py``.
"""

from causalrep.multimodal.debiasing.ate_d import ATEDClassifier
from causalrep.multimodal.debiasing.coding_rate import coding_rate
from causalrep.multimodal.debiasing.sufficiency import Sufficiency, sufficiency
from causalrep.multimodal.debiasing.te_d import TEDClassifier
from causalrep.multimodal.debiasing.unimodal import UnimodalDebiasing

__all__ = [
    "ATEDClassifier",
    "Sufficiency",
    "TEDClassifier",
    "UnimodalDebiasing",
    "coding_rate",
    "sufficiency",
]
