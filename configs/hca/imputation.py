"""Completion of hidden scores of models fine-tuned from Qwen2.5-14B, from its own descendants or from all models.

Command: python -m experiments.run hca/imputation
Expected result: local completion is better by 2 points or more when 20-40% of the scores are hidden, and worse when
most are.
Expected time: small 1 min, paper 5 min on two CPU cores.
"""

import dataclasses

from experiments.papers.hca.imputation import Imputation

DATA = ("open_llm_leaderboard",)
REPRODUCE = "small"

PAPER = Imputation()
SCALES = {
    "smoke": dataclasses.replace(PAPER, draws=2, fractions=(0.3,)),
    "small": dataclasses.replace(PAPER, draws=50),
    "paper": PAPER,
}
