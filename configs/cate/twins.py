"""Twins: the average effect of being the heavier twin on mortality, under simulated confounding.

Command: python -m experiments.run cate/twins
Expected result: true effect -.0252; difference in means -.1121, OLS-1 -.0865 (exact).
Expected time: 1 min on two CPU cores at every scale but smoke.
"""

import dataclasses

from experiments.cate.methods import LINEAR, LOGISTIC
from experiments.cate.whole import WholeData

PAPER = WholeData("twins", files=1, methods=LINEAR + LOGISTIC)
SCALES = {"smoke": dataclasses.replace(PAPER, methods=("Difference in means", "OLS-1")), "small": PAPER, "paper": PAPER}
