"""PersonaX and four other methods on a simulated stand-in for its synthetic data.

Command: python -m experiments.run personax/standin
Expected result: the blocks and the edge between the modalities are recovered; single latents are little above chance.
Expected time: small 9 min, paper 30 min on two CPU cores.
"""

import dataclasses

from experiments.papers.personax.standin import StandIn

REPRODUCE = "smoke"

PAPER = StandIn(seeds=10)
SCALES = {
    "smoke": dataclasses.replace(PAPER, seeds=1, samples=600, steps=100),
    "small": dataclasses.replace(PAPER, seeds=3),
    "paper": PAPER,
}
