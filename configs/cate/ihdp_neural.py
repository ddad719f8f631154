"""TARNet, CFR, BNN, DragonNet and SNet on the canonical split of IHDP-100, with their published settings.

Command: python -m experiments.run cate/ihdp_neural
Expected result: the out-of-sample PEHE of TARNet is between 0.7 and 1.6; every network is below OLS-2 (2.41) and OLS-1
(5.73).
Expected time: small 33 min (three networks, on a busy machine), paper 70 min (all networks) on two CPU cores.
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
