"""What does each modality contribute, and what if one misleads or is missing?"""

from causalrep.multimodal.debiasing.ate_d import ATEDClassifier
from causalrep.multimodal.debiasing.coding_rate import coding_rate
from causalrep.multimodal.debiasing.sufficiency import sufficiency
from causalrep.multimodal.debiasing.te_d import TEDClassifier
from causalrep.multimodal.debiasing.unimodal import UnimodalDebiasing

__all__ = [
    "ATEDClassifier",
    "TEDClassifier",
    "UnimodalDebiasing",
    "coding_rate",
    "sufficiency",
]
