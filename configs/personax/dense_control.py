"""PersonaX with sparse, separate and dense edges between modalities: what does sparsity identify?

Command: python -m experiments.run personax/dense_control
Expected result: blocks are recovered in all three cases; single latents are near chance, and no better where edges are
sparse.
Expected time: small 3 min, paper 10 min on two CPU cores.
"""

import dataclasses

from experiments.papers.personax.standin import StandIn

REPRODUCE = "smoke"

PAPER = StandIn("personax/dense_control", seeds=10, cross=("sparse", "separate", "dense"), methods=("PersonaX",))
SCALES = {
    "smoke": dataclasses.replace(PAPER, seeds=1, samples=600, steps=100),
    "small": dataclasses.replace(PAPER, seeds=3),
    "paper": PAPER,
}
