"""Table 1 of Shalit, Johansson and Sontag (2017): the linear rows on all 1,000 IHDP replications.

Command: python -m experiments.run cate/ihdp1000 --scale paper
Expected result: the in-sample PEHE of OLS-1 is 5.800 and of OLS-2 2.259 (exact given the split).
Expected time: small 1 min, paper 4 min on two CPU cores.
"""

import dataclasses

from experiments.papers.cate.ihdp import Ihdp
from experiments.papers.cate.methods import LINEAR

DATA = ("ihdp",)
REPRODUCE = "small"
MAIN = True

PAPER = Ihdp(name="cate/ihdp1000", simulations=1000, methods=(*LINEAR, "5-NN T"))
SCALES = {
    "smoke": dataclasses.replace(PAPER, simulations=3),
    "small": dataclasses.replace(PAPER, methods=("Zero effect", "Difference in means", "OLS-1", "OLS-2")),
    "paper": PAPER,
}
