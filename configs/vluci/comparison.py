"""VLUCI, CEVAE and Intact-VAE with a confounder that leaves no trace in X, with none, and with proxies.

Command: python -m experiments.run vluci/comparison --mode loop
Expected result: only VLUCI finds a two-point confounder that leaves no trace in X; without a confounder it changes
nothing; with proxies CEVAE removes part of the bias.
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
