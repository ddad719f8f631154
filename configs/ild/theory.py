"""ILD's theory on random models: round trips, densities and the canonical form hold to rounding.

Command: python -m experiments.run ild/theory
Expected result: every claim holds, with errors near 1e-12.
Expected time: small 1 min on two CPU cores.
"""

import dataclasses

from experiments.papers.ild.theory import Theory

REPRODUCE = "small"

PAPER = Theory()
SCALES = {
    "smoke": dataclasses.replace(PAPER, models=5, sizes=(3,)),
    "small": PAPER,
    "paper": PAPER,
}
