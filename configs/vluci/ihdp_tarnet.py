"""Plain IHDP with TARNet given an inferred confounder: does it make a network's effects worse?

Command: python -m experiments.run vluci/ihdp_tarnet --mode loop
Expected result: the PEHE is within 5% of that without U, if the fit rightly leaves U unused.
Expected time: small 10 min, paper 2 h on two CPU cores (estimated, not measured).
"""

import dataclasses

from experiments.papers.vluci.ihdp import IhdpTARNet

DATA = ("ihdp",)
REPRODUCE = "smoke"

PAPER = IhdpTARNet("vluci/ihdp_tarnet", hidden=False, draws=5)
SCALES = {
    "smoke": dataclasses.replace(PAPER, simulations=1, epochs=25, draws=2, width=16, steps=20),
    "small": dataclasses.replace(PAPER, simulations=10, epochs=150, width=64, draws=2),
    "paper": PAPER,
}
