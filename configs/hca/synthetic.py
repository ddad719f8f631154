"""HCA on simulated hierarchies, exact and inexact.

Command: python -m experiments.run hca/synthetic
Expected result: directions are recovered in 90% of the exact graphs with 4,000 rows; the MIC grows with inexactness.
Expected time: small 3 min, paper 12 min on two CPU cores.
"""

import dataclasses

from experiments.papers.hca.synthetic import Synthetic

REPRODUCE = "smoke"

PAPER = Synthetic()
SCALES = {
    "smoke": dataclasses.replace(PAPER, graphs=2, samples=(400,), inexactness=(0.0,), restarts=3),
    "small": dataclasses.replace(PAPER, graphs=20),
    "paper": PAPER,
}
