"""A flow for latents that cause one another over time, in the manner of LEAP (Yao et al. 2022).

Command: python -m experiments.run crl/temporal_flow
Expected result: the MCC is near 1, and lower when each series is paired with the past of another one.
Expected time: small 4 min, paper hours on two CPU cores.
"""

import dataclasses

from experiments.papers.crl.series import Series

REPRODUCE = "smoke"

PAPER = Series()
SCALES = {
    "smoke": dataclasses.replace(
        PAPER, replications=1, kinds=("linear",), latents=3, layers=1, n=500, steps=40, restarts=1
    ),
    "small": dataclasses.replace(PAPER, replications=4, latents=4, n=10_000, steps=4000, restarts=1),
    "paper": PAPER,
}
