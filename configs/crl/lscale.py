"""Score-based causal representation learning, LSCALE-I (Varici et al. 2025), on the simulation of its paper.

Command: python -m experiments.run crl/lscale
Expected result: exact moments recover the latents and the graph (hard interventions) or its closure (soft); 50,000 rows
give an MCC of .85 to .97.
Expected time: small 3 min, paper 10 min on two CPU cores.
"""

import dataclasses

from experiments.papers.crl.linear import ScoreBased

REPRODUCE = "small"

PAPER = ScoreBased()
SCALES = {
    "smoke": dataclasses.replace(PAPER, graphs=3, observed=(25,), samples=(5000,)),
    "small": dataclasses.replace(PAPER, graphs=20, observed=(100,)),
    "paper": PAPER,
}
