"""ILD by the number of intervened latents, with k equal to that number and with k = 2.

Command: python -m experiments.run ild/by_sparsity --scale paper
Expected result: Relax-Can is below Dense where one latent is intervened on; for more there is no clear order with three
seeds.
Expected time: small 8 min, paper 45 min on two CPU cores.
"""

import dataclasses

from experiments.papers.ild.simulated import Simulated

REPRODUCE = "smoke"

PAPER = Simulated(name="ild/by_sparsity", domains=(3, 10), intervened=("5", "4,5", "3,4,5", "2,3,4,5"), k=(0, 2))
SCALES = {
    "smoke": dataclasses.replace(PAPER, seeds=1, samples=1000, steps=100, domains=(3,)),
    "small": dataclasses.replace(PAPER, seeds=3, domains=(3,)),
    "paper": PAPER,
}
