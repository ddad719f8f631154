"""Coverage of bootstrap and conformal intervals for individual effects on a simulation, IHDP and ACIC 2016.

Command: python -m experiments.run cate/intervals
Expected result: conformal intervals cover at least 93%; the bootstrap covers where the model is right, but not on IHDP.
Expected time: small 3 min, paper 10 min on two CPU cores.
"""

import dataclasses

from experiments.papers.cate.intervals import Intervals

DATA = ("ihdp", "acic2016")
REPRODUCE = "smoke"

PAPER = Intervals(simulations=100, draws=200)
SCALES = {
    "smoke": dataclasses.replace(PAPER, datasets=("linear",), simulations=2, draws=10, kernel=False),
    "small": dataclasses.replace(PAPER, simulations=40, draws=50),
    "paper": PAPER,
}
