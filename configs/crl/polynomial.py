"""Latents behind a polynomial, each held constant once (Ahuja et al. 2023), on their simulation, G5.

Command: python -m experiments.run crl/polynomial
Expected result: MCC of 1 whatever the distribution of the latents; the decoder alone finds them up to an affine map.
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
