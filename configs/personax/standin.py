"""PersonaX on a simulated stand-in for its synthetic data, beside four other methods.

Command: python -m experiments.run personax/standin
Expected result: blocks recovered, and the edge between the modalities; single latents little above chance.
Expected time: small 9 min on two CPU cores, paper 30 min.
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
