"""Plain IHDP, where nothing is hidden: does adjusting for an inferred confounder make the effects worse?

Command: python -m experiments.run vluci/ihdp --mode loop
Expected result: the PEHE is within 5% of that without U, if the fit rightly leaves U unused.
Expected time: small 4 min, paper 30 min on two CPU cores.
"""

import dataclasses

from experiments.papers.vluci.ihdp import Ihdp

DATA = ("ihdp",)
REPRODUCE = "smoke"

PAPER = Ihdp("vluci/ihdp", hidden=False, draws=10)
SCALES = {
    "smoke": dataclasses.replace(PAPER, simulations=2, epochs=25, draws=2, width=16),
    "small": dataclasses.replace(PAPER, simulations=20, epochs=150, width=64, draws=5),
    "paper": PAPER,
}
