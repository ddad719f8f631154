"""ILD under a RealNVP mixing instead of the leaky ReLU.

Command: python -m experiments.run ild/flow --scale paper
Expected result: Relax-Can is far below Dense, and not clearly below the identity map.
Expected time: small 4 min on two CPU cores, paper hours (200 fits of 50,000 steps).
"""

import dataclasses

from experiments.papers.ild.flow import Flow

REPRODUCE = "smoke"

PAPER = Flow()
SCALES = {
    "smoke": dataclasses.replace(PAPER, seeds=1, samples=1000, steps=100, intervened=("4,5",), depth=(4,)),
    "small": dataclasses.replace(PAPER, seeds=3, steps=10_000, intervened=("4,5",), depth=(4,)),
    "paper": PAPER,
}
