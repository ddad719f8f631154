"""DemoVAE on simulated connectivity, compared with an autoencoder and linear residualization.

Command: python -m experiments.run demovae/standin --mode loop
Expected result: of 40 demographic phenotypes, 36 or more are associated with the latents of an autoencoder and 8 or
fewer with DemoVAE's.
Expected time: small 3 min (measured), paper 16 min (estimated) on two CPU cores.
"""

import dataclasses

from experiments.papers.demovae.standin import StandIn

REPRODUCE = "smoke"

PAPER = StandIn()
SCALES = {
    "smoke": dataclasses.replace(PAPER, replications=1, samples=200, latents=8, hidden=32, epochs=20),
    "small": dataclasses.replace(PAPER, replications=3, samples=600, hidden=100, epochs=1500),
    "paper": PAPER,
}
