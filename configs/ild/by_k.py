"""ILD by the sparsity k of the fitted model, with interventions on two latents.

Command: python -m experiments.run ild/by_k --scale paper
Expected result: the error grows for k well above 2.
Expected time: small 5 min, paper 15 min on two CPU cores.
"""

import dataclasses

from experiments.papers.ild.simulated import Simulated

REPRODUCE = "smoke"

PAPER = Simulated(name="ild/by_k", domains=(2, 3, 10), k=(1, 2, 3, 4), methods=("Relax-Can",))
SCALES = {
    "smoke": dataclasses.replace(PAPER, seeds=1, samples=1000, steps=100, domains=(3,)),
    "small": dataclasses.replace(PAPER, seeds=5, domains=(3,)),
    "paper": PAPER,
}
