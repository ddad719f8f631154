"""Figures 4a-c: nCER against kappa, alpha and gamma, linear simulation.

Command: python -m experiments.run ivl/linear_simulation --scale paper
Expected result: at kappa = 1 nCER near ERM .42, DA+ERM .07, DA+IVL-CV .04, DA+IVL-CC .03 (SE near 9% at 32 models).
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
