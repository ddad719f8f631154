"""Latents mixed by a polynomial, each held constant in one environment (Ahuja et al. 2023).

Command: python -m experiments.run crl/polynomial
Expected result: the MCC is 1 for every distribution of the latents; the decoder alone recovers them up to an affine
map.
Expected time: small 3 min, paper an hour on two CPU cores.
"""

import dataclasses

from experiments.papers.crl.supports import Supports

REPRODUCE = "smoke"

PAPER = Supports()
SCALES = {
    "smoke": dataclasses.replace(
        PAPER, replications=1, kinds=("uniform",), degrees=(2,), latents=3, observed=20, n=400, steps=40, restarts=1
    ),
    "small": dataclasses.replace(PAPER, n=2000, steps=2000, restarts=2),
    "paper": PAPER,
}
