"""Coverage of doubly robust intervals with both nuisance models right, either wrong, and both wrong.

Command: python -m experiments.run cate/coverage --mode loop
Expected result: with both models right, 95% intervals cover 93-97%; with either wrong there is no bias; with both wrong
coverage fails.
Expected time: small 1 min, paper 3 min on two CPU cores.
"""

import dataclasses

from experiments.papers.cate.coverage import Coverage

REPRODUCE = "small"

PAPER = Coverage(replications=1000)
SCALES = {
    "smoke": dataclasses.replace(PAPER, n=200, replications=4, scenarios=("both right",), large=False),
    "small": dataclasses.replace(PAPER, replications=250),
    "paper": PAPER,
}
