"""IHDP-100 by networks: TARNet, CFR, BNN, DragonNet and SNet on the canonical split, at their published settings.

Command: python -m experiments.run cate/ihdp_neural
Expected result: out-of-sample PEHE of TARNet between 0.7 and 1.6; every network below OLS-2 (2.41) and OLS-1 (5.73).
Expected time: small 33 min (three networks; measured on a busy machine), paper 70 min (all networks) on two CPU cores.
"""

import dataclasses

from experiments.papers.cate.neural import BASELINES, IhdpNeural

DATA = ("ihdp",)
REPRODUCE = "smoke"

PAPER = IhdpNeural()
SCALES = {
    "smoke": dataclasses.replace(PAPER, simulations=2, methods=(*BASELINES, "TARNet"), quick=True),
    "small": dataclasses.replace(PAPER, methods=(*BASELINES, "TARNet", "CFR Wass", "DragonNet + t-reg")),
    "paper": PAPER,
}
