"""How often a bootstrap sample of HCA's main four domains gives which causal order.

Command: python -m experiments.run hca/stability
Expected result: MATH comes last; which of general reasoning and instruction following comes first is not certain.
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
