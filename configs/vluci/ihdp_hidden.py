"""IHDP with the mother's age hidden: VLUCI where its assumption, U independent of X, does not hold.

Command: python -m experiments.run vluci/ihdp_hidden --mode loop
Expected result: the error of the average effect is .46 with the true age and 1.78 without; for VLUCI's U nothing is
known in advance.
Expected time: small 8 min, paper 20 min on two CPU cores.
"""

import dataclasses

from experiments.papers.vluci.ihdp import Ihdp

DATA = ("ihdp",)
REPRODUCE = "smoke"

PAPER = Ihdp("vluci/ihdp_hidden", hidden=True)
SCALES = {
    "smoke": dataclasses.replace(PAPER, simulations=2, epochs=25, draws=4, width=16),
    "small": dataclasses.replace(PAPER, simulations=100, epochs=150, width=64, draws=10),
    "paper": PAPER,
}
