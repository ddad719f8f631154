"""CEVAE on the canonical split of IHDP-100, with the settings of its authors.

Command: python -m experiments.run cate/ihdp_cevae
Expected result: the out-of-sample PEHE is below that of OLS-1 (published: 2.6 and 5.8).
Expected time: small (25 replications) 55 min on a busy machine, paper (100) 80 min on one CPU core (estimated).
"""

import dataclasses

from experiments.papers.cate.neural import BASELINES, IhdpNeural

DATA = ("ihdp",)
REPRODUCE = "smoke"

PAPER = IhdpNeural(name="cate/ihdp_cevae", methods=(*BASELINES, "CEVAE"))
SCALES = {
    "smoke": dataclasses.replace(PAPER, simulations=2, quick=True),
    "small": dataclasses.replace(PAPER, simulations=25),
    "paper": PAPER,
}
