"""Linear causal disentanglement (Squires et al. 2023) with exact, sampled and shuffled covariances.

Command: python -m experiments.run crl/linear_disentanglement
Expected result: exact covariances recover H to 1e-10. On samples the median error is .2 at 2,500 rows and falls by a
factor of 4 for 10 times the rows; the ancestors are seldom all right.
Expected time: small 2 min, paper 10 min on two CPU cores.
"""

import dataclasses

from experiments.papers.crl.linear import Disentanglement

REPRODUCE = "small"

PAPER = Disentanglement()
SCALES = {
    "smoke": dataclasses.replace(PAPER, graphs=3, samples=(2500,)),
    "small": dataclasses.replace(PAPER, graphs=60, samples=(2500, 25_000, 250_000)),
    "paper": PAPER,
}
