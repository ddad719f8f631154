"""Closed-form effect learners on the canonical split of the first 100 IHDP replications.

Command: python -m experiments.run cate/ihdp100
Expected result: the out-of-sample PEHE of OLS-1 is 5.730 and of OLS-2 2.409 (exact); that of the kernel T-learner is
below 1.6.
Expected time: small 2 min, paper 4 min on two CPU cores.
"""

import dataclasses

from experiments.papers.cate.ihdp import Ihdp
from experiments.papers.cate.methods import LINEAR

DATA = ("ihdp",)
REPRODUCE = "small"

PAPER = Ihdp(name="cate/ihdp100")
SCALES = {
    "smoke": dataclasses.replace(PAPER, simulations=3, methods=LINEAR),
    "small": dataclasses.replace(PAPER, methods=(*LINEAR, "5-NN T", "Kernel S", "Kernel T", "Kernel X")),
    "paper": PAPER,
}
