"""ACIC 2016: average effect and PEHE of linear learners on ten of the challenge's data sets.

Command: python -m experiments.run cate/acic2016
Expected result: OLS-1 and OLS-2 as in the data card, to three decimals (exact).
Expected time: 1 min on two CPU cores at every scale but smoke.
"""

import dataclasses

from experiments.cate.whole import WholeData

PAPER = WholeData("acic2016")
SCALES = {
    "smoke": dataclasses.replace(PAPER, files=2, methods=("Difference in means", "OLS-1", "OLS-2")),
    "small": PAPER,
    "paper": PAPER,
}
