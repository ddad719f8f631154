"""ILD by the number of latents, with interventions on the last two.

Command: python -m experiments.run ild/by_latents --scale paper
Expected result: Relax-Can is below Dense from six latents on.
Expected time: small 6 min, paper 40 min on two CPU cores.
"""

import dataclasses

from experiments.papers.ild.simulated import Simulated

REPRODUCE = "smoke"

PAPER = Simulated(name="ild/by_latents", latents=(4, 6, 8, 10), domains=(2, 3, 10), intervened=("last two",))
SCALES = {
    "smoke": dataclasses.replace(PAPER, seeds=1, samples=1000, steps=100, latents=(4,), domains=(2,)),
    "small": dataclasses.replace(PAPER, seeds=3, domains=(3,)),
    "paper": PAPER,
}
