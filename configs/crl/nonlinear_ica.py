"""Nonlinear ICA from 20 segments: TCL, iVAE and iFlow against a beta-VAE.

Command: python -m experiments.run crl/nonlinear_ica
Expected result: all three improve with the rows per segment and beat a beta-VAE by .15; with shuffled segments they are
at chance.
Expected time: small 6 min, paper hours on two CPU cores.
"""

import dataclasses

from experiments.papers.crl.segments import Segments

REPRODUCE = "smoke"

PAPER = Segments()
SCALES = {
    "smoke": dataclasses.replace(
        PAPER, replications=1, samples=(100,), layers=(2,), steps=40, autoencoder_steps=40, restarts=1
    ),
    "small": dataclasses.replace(
        PAPER,
        replications=4,
        samples=(100, 2000),
        layers=(2,),
        steps=2000,
        autoencoder_steps=4000,
        restarts=1,
        learning_rate=1e-2,
    ),
    "paper": PAPER,
}
