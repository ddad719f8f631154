"""Figure 7: the sweeps of Figure 4, with each null-space direction kept with probability 2/3.

Command: python -m experiments.run ivl/partial_null_space --scale paper
Expected result: DA+IVL-CC < DA+IVL-CV < DA+ERM < ERM at kappa = 1; see docs/results/ivl.md.
Expected time: small 20 s, paper 60 s on two CPU cores.
"""

import dataclasses

from experiments.papers.ivl.linear import LinearSimulation

REPRODUCE = "small"
MAIN = True

PAPER = LinearSimulation(name="ivl/partial_null_space", keep=2 / 3)
SCALES = {
    "smoke": dataclasses.replace(PAPER, simulations=2, points=3, samples=256),
    "small": dataclasses.replace(PAPER, points=13),
    "paper": PAPER,
}
