"""PersonaX where edges between modalities are sparse, separate or dense: what sparsity identifies.

Command: python -m experiments.run personax/dense_control
Expected result: blocks recovered in all three; single latents near chance, and not better where edges are sparse.
Expected time: small 3 min on two CPU cores, paper 10 min.
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
