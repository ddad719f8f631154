"""Jobs: policy risk and error of the effect on the treated, ten canonical splits.

Command: python -m experiments.run cate/jobs
Expected result: OLS-1 policy risk .225 and .226, effect on the treated off by .013 and .080 (exact).
Expected time: small 1 min, paper (networks too) 10 min on two CPU cores (estimated).
"""

import dataclasses

from experiments.papers.cate.jobs import Jobs
from experiments.papers.cate.methods import NEURAL

DATA = ("jobs",)
REPRODUCE = "small"
MAIN = True

SMALL = Jobs()
PAPER = dataclasses.replace(SMALL, methods=SMALL.methods + NEURAL)
SCALES = {
    "smoke": dataclasses.replace(PAPER, splits=2, methods=("Zero effect", "OLS-1")),
    "small": SMALL,
    "paper": PAPER,
}
