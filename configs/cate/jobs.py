"""Jobs: policy risk and error of the effect on the treated, ten canonical splits.

Command: python -m experiments.run cate/jobs
Expected result: OLS-1 policy risk .225 and .226, effect on the treated off by .013 and .080 (exact).
Expected time: 1 min on two CPU cores at every scale but smoke.
"""

import dataclasses

from experiments.cate.jobs import Jobs

PAPER = Jobs()
SCALES = {
    "smoke": dataclasses.replace(PAPER, splits=2, methods=("Zero effect", "OLS-1")),
    "small": PAPER,
    "paper": PAPER,
}
