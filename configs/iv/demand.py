"""The airline-demand design (Hartford et al. 2017), as published and with ten times the noise: KIV, DFIV, a regression.

Command: python -m experiments.run iv/demand --scale paper
Expected result: on the published design the error of KIV (median 4,900 at n = 1,000, as in its paper) is no smaller
than that of a kernel ridge regression (4,100) for every rho, so the design does not show deconfounding.
Expected time: small 10 min on two CPU cores (120 data sets; estimated from a run on a busy machine), paper hours.
"""

from experiments.papers.iv.demand import Demand

REPRODUCE = "smoke"

SCALES = {
    "smoke": Demand(
        replications=2, samples=(200,), rhos=(0.5,), exact_up_to=200, landmarks=60, candidates=6, dfiv_updates=2
    ),
    "small": Demand(),
    "paper": Demand(samples=(1000, 5000, 10000), rhos=(0.1, 0.25, 0.5, 0.75, 0.9), landmarks=500),
}
