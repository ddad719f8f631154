"""ILD by the number of domains, with interventions on the last or the first two of six latents.

Command: python -m experiments.run ild/by_domains --scale paper
Expected result: Relax-Can is below Dense in every cell.
Expected time: small 8 min, paper 30 min on two CPU cores.
"""

import dataclasses

from experiments.papers.ild.simulated import Simulated

REPRODUCE = "smoke"

PAPER = Simulated(name="ild/by_domains", domains=(2, 3, 5, 10), intervened=("4,5", "0,1"))
SCALES = {
    "smoke": dataclasses.replace(PAPER, seeds=1, samples=1000, steps=100, domains=(2, 3)),
    "small": dataclasses.replace(PAPER, seeds=3, domains=(2, 3, 10)),
    "paper": PAPER,
}
