"""Contrastive causal representation learning (Buchholz et al. 2023) on the simulation of its paper.

Command: python -m experiments.run crl/contrastive
Expected result: the MCC is .95 under a linear and .9 under a nonlinear mixing, and at chance where environments are
shuffled. At small scale the linear mixing gives .965, and the nonlinear one stays at chance: 5,000 steps are too few.
Expected time: small 5 min, paper hours on two CPU cores.
"""

import dataclasses

from experiments.papers.crl.contrastive import Contrastive

REPRODUCE = "smoke"

PAPER = Contrastive()
SCALES = {
    "smoke": dataclasses.replace(
        PAPER, replications=1, mixings=("linear",), shifts=(True,), n=500, hidden=(16,), steps=40
    ),
    "small": dataclasses.replace(PAPER, replications=4, shifts=(True,), hidden=(128, 128), steps=5000),
    "paper": PAPER,
}
