"""Negative control for VLUCI: the confounder is Gaussian, but the model says that it has two levels.

Command: python -m experiments.run vluci/misspecified --mode loop
Expected result: the answer of the two-level model is worse than no adjustment; every sample is flagged as not
identified.
Expected time: small 4 min, paper 20 min on two CPU cores.
"""

import dataclasses

from experiments.papers.vluci.designs import Design

REPRODUCE = "smoke"

PAPER = Design("vluci/misspecified", "misspecified", replications=50)
SCALES = {
    "smoke": dataclasses.replace(PAPER, replications=1, samples=(400,), epochs=25, draws=4),
    "small": dataclasses.replace(PAPER, replications=10, epochs=120, draws=10),
    "paper": PAPER,
}
