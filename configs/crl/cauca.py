"""Causal component analysis (von Kuegelgen, Liang et al. 2023) with the right and with wrong graphs and targets.

Command: python -m experiments.run crl/cauca
Expected result: the right graph and targets score above a wrong graph, and that above a linear unmixing; mixings of
fewer layers are easier.
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
