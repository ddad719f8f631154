"""Average effect of being the heavier twin on mortality, under simulated confounding of Twins.

Command: python -m experiments.run cate/twins
Expected result: the true effect is -.0252, the difference in means -.1121 and OLS-1 -.0865 (exact).
Expected time: small 1 min, paper (with networks) 5 min on two CPU cores (estimated).
"""

import dataclasses

from experiments.papers.cate.methods import LINEAR, LOGISTIC, NEURAL
from experiments.papers.cate.whole import WholeData

DATA = ("twins",)
REPRODUCE = "small"

SMALL = WholeData("twins", files=1, methods=LINEAR + LOGISTIC)
SCALES = {
    "smoke": dataclasses.replace(SMALL, methods=("Difference in means", "OLS-1")),
    "small": SMALL,
    "paper": dataclasses.replace(SMALL, methods=SMALL.methods + NEURAL),
}
