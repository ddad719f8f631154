"""Frequency of each causal order among bootstrap samples of HCA's four main domains.

Command: python -m experiments.run hca/stability
Expected result: MATH comes last; whether general reasoning or instruction following comes first is not certain.
Expected time: small 2 min, paper 8 min on two CPU cores.
"""

import dataclasses

from experiments.papers.hca.leaderboard import Stability

DATA = ("open_llm_leaderboard",)
REPRODUCE = "small"

PAPER = Stability()
SCALES = {
    "smoke": dataclasses.replace(PAPER, draws=2, snapshots=("2025-02-20",)),
    "small": dataclasses.replace(PAPER, draws=100),
    "paper": PAPER,
}
