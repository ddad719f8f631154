"""A Gaussian confounder that selects into treatment: VLUCI beside Heckman's control function.

Command: python -m experiments.run vluci/selection --mode loop
Expected result: the bias is 4.1 without U; the control function is nearly unbiased, but its spread is wide.
Expected time: small 5 min, paper 30 min on two CPU cores (estimated, not measured).
"""

import dataclasses

from experiments.papers.vluci.designs import Design

REPRODUCE = "smoke"

PAPER = Design("vluci/selection", "selection", replications=20, samples=(4000, 20000, 100000), excluded=(1.0, 0.0))
SCALES = {
    "smoke": dataclasses.replace(PAPER, replications=1, samples=(400,), excluded=(1.0,), epochs=25, draws=4),
    "small": dataclasses.replace(PAPER, replications=10, samples=(4000, 20000), excluded=(1.0,), epochs=40, draws=5),
    "paper": PAPER,
}
