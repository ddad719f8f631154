"""Policy risk and error of the effect on the treated on ten canonical splits of Jobs.

Command: python -m experiments.run cate/jobs
Expected result: OLS-1 has policy risks of .225 and .226 and errors of the effect on the treated of .013 and .080
(exact).
Expected time: small 1 min, paper (with networks) 10 min on two CPU cores (estimated).
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
