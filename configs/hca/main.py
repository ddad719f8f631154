"""HCA's main result: the causal order of latent capabilities of language models that share a base model.

Command: python -m experiments.run hca/main
Expected result: the four domains without qwen2-7b fit best, with a largest MIC of 0.025; the paper's order is within
0.01 of that.
Expected time: small 2 min on two CPU cores.
"""

import dataclasses

from experiments.papers.hca.leaderboard import Leaderboard

DATA = ("open_llm_leaderboard",)
REPRODUCE = "small"

PAPER = Leaderboard()
SCALES = {
    "smoke": dataclasses.replace(PAPER, restarts=5, five=False),
    "small": PAPER,
    "paper": PAPER,
}
