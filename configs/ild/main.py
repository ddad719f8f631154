"""ILD's main simulation: three domains, interventions on latents 4 and 5 of six, each model seed beside the authors'.

Command: python -m experiments.run ild/main
Expected result: Relax-Can is well below Dense despite its higher loss, and neither is clearly below the identity map;
annealed Relax-Can is far below all of them, near the oracle's likelihood.
Expected time: small 10 min, paper 15 min on two CPU cores.
"""

import dataclasses

from experiments.papers.ild.simulated import Simulated

REPRODUCE = "smoke"

PAPER = Simulated(name="ild/main", methods=("Dense", "Relax-Can", "Dense (annealed)", "Relax-Can (annealed)"))
SCALES = {
    "smoke": dataclasses.replace(PAPER, seeds=2, samples=2000, steps=300, annealed_steps=200, rounds=2),
    "small": dataclasses.replace(PAPER, methods=("Dense", "Relax-Can", "Relax-Can (annealed)")),
    "paper": PAPER,
}
