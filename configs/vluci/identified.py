"""VLUCI when the hidden confounder has two separate levels, so that the model class is identified.

Command: python -m experiments.run vluci/identified --mode loop
Expected result: the bias is 3.7 without U and below .15 with U; the PEHE is below .3; 90% counterfactual intervals
cover 85-95%.
Expected time: small 5 min, paper 10 min on two CPU cores.
"""

import dataclasses

from experiments.papers.vluci.designs import Design

REPRODUCE = "smoke"

PAPER = Design("vluci/identified", "identified")
SCALES = {
    "smoke": dataclasses.replace(PAPER, replications=1, samples=(400,), epochs=25, draws=4),
    "small": dataclasses.replace(PAPER, replications=20, draws=20),
    "paper": PAPER,
}
