"""VLUCI, CEVAE and Intact-VAE: a confounder that X does not show, none (negative control), and one with proxies.

Command: python -m experiments.run vluci/comparison --mode loop
Expected result: VLUCI alone finds a two-point confounder that X does not show; without one it changes nothing; CEVAE
takes part of the bias away where there are proxies.
Expected time: small 6 min, paper 20 min on two CPU cores (estimated, not measured).
"""

import dataclasses

from experiments.papers.vluci.comparison import Comparison

REPRODUCE = "smoke"

PAPER = Comparison()
SCALES = {
    "smoke": dataclasses.replace(
        PAPER, replications=1, samples=300, vluci_epochs=25, cevae_epochs=1, intact_epochs=5, hidden=8, draws=4
    ),
    "small": dataclasses.replace(PAPER, replications=10, draws=5),
    "paper": PAPER,
}
