"""DemoVAE on synthetic connectivity, beside an autoencoder and linear residualization.

Command: python -m experiments.run demovae/standin --mode loop
Expected result: of 40 demographic phenotypes 36 or more go with an autoencoder's latents, 8 or fewer with DemoVAE's.
Expected time: small 16 min, paper 1 h on two CPU cores (estimated from a run at 600 subjects).
"""

import dataclasses

from experiments.demovae.standin import StandIn

PAPER = StandIn()
SCALES = {
    "smoke": dataclasses.replace(PAPER, replications=1, samples=200, latents=8, hidden=32, epochs=20),
    "small": PAPER,
    "paper": dataclasses.replace(PAPER, replications=20),
}
