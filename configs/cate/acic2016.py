"""Average effect and PEHE of linear learners on ten data sets of the ACIC 2016 challenge.

Command: python -m experiments.run cate/acic2016
Expected result: OLS-1 and OLS-2 equal the numbers of the data card to three decimals (exact).
Expected time: small 1 min, paper (with networks) 10 min on two CPU cores (estimated).
"""

import dataclasses

from experiments.papers.cate.methods import NEURAL
from experiments.papers.cate.whole import WholeData

DATA = ("acic2016",)
REPRODUCE = "small"

SMALL = WholeData("acic2016")
PAPER = dataclasses.replace(SMALL, methods=SMALL.methods + NEURAL)
SCALES = {
    "smoke": dataclasses.replace(PAPER, files=2, methods=("Difference in means", "OLS-1", "OLS-2")),
    "small": SMALL,
    "paper": PAPER,
}
