"""TE-D, ATE-D and unimodal debiasing when the prior of the answers shifts between training and test.

Command: python -m experiments.run causal_info_min/toy --mode loop
Expected result: out of distribution the total effect of TE-D gains .02 or more over plain training, and in distribution
it loses .02 or less; its confounder alone is worse than chance out of distribution.
Expected time: small 3 min (measured on a busy machine), paper 6 min (estimated) on two CPU cores.
"""

import dataclasses

from experiments.papers.causal_info_min.toy import Toy

REPRODUCE = "small"

PAPER = Toy()
SCALES = {
    "smoke": dataclasses.replace(PAPER, replications=1, samples=300, tests=200, epochs=1),
    "small": dataclasses.replace(PAPER, replications=3),
    "paper": PAPER,
}
