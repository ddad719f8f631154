"""What does each modality contribute, and what if one misleads or is missing?"""

from causalrep.multimodal.debiasing import (
    ATEDClassifier,
    Sufficiency,
    TEDClassifier,
    UnimodalDebiasing,
    coding_rate,
    sufficiency,
)

__all__ = [
    "ATEDClassifier",
    "Sufficiency",
    "TEDClassifier",
    "UnimodalDebiasing",
    "coding_rate",
    "sufficiency",
]
