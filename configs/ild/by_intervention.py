"""ILD by the position of the two latents that are intervened on.

Command: python -m experiments.run ild/by_intervention --scale paper
Expected result: Relax-Can is below Dense at every position.
Expected time: small 6 min, paper 45 min on two CPU cores.
"""

import dataclasses

from experiments.papers.ild.simulated import Simulated

REPRODUCE = "smoke"

PAPER = Simulated(name="ild/by_intervention", domains=(2, 3, 10), intervened=("4,5", "3,4", "2,3", "1,2", "0,1"))
SCALES = {
    "smoke": dataclasses.replace(PAPER, seeds=1, samples=1000, steps=100, domains=(3,)),
    "small": dataclasses.replace(PAPER, seeds=3, domains=(3,)),
    "paper": PAPER,
}
