"""Figures 4a-c: nCER against kappa, alpha and gamma in the linear simulation.

Command: python -m experiments.run ivl/linear_simulation --scale paper
Expected result: at kappa = 1 the nCER is near .42 for ERM, .07 for DA+ERM, .04 for DA+IVL-CV and .03 for DA+IVL-CC (the
standard error is near 9% with 32 models).
Expected time: small 20 s, paper 60 s on two CPU cores.
"""

import dataclasses

from experiments.papers.ivl.linear import LinearSimulation

REPRODUCE = "paper"
MAIN = True

PAPER = LinearSimulation(name="ivl/linear_simulation")
SCALES = {
    "smoke": dataclasses.replace(PAPER, simulations=2, points=3, samples=256),
    "small": dataclasses.replace(PAPER, points=13),
    "paper": PAPER,
}
