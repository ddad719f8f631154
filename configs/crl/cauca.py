"""Causal component analysis (von Kuegelgen et al., Liang et al. 2023) on its simulation, G1, right and misspecified.

Command: python -m experiments.run crl/cauca
Expected result: right graph and targets above a wrong graph above a linear unmixing; fewer layers are easier.
Expected time: small 4 min, paper hours on two CPU cores.
"""

import dataclasses

from experiments.papers.crl.components import CausalComponents

REPRODUCE = "smoke"

PAPER = CausalComponents()
SCALES = {
    "smoke": dataclasses.replace(PAPER, replications=1, layers=(2,), n=500, steps=40, restarts=1, batch_size=256),
    "small": dataclasses.replace(
        PAPER, replications=4, layers=(2, 3), n=10_000, steps=1500, restarts=2, batch_size=512
    ),
    "paper": PAPER,
}
