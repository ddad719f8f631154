"""Nonlinear ICA from 20 segments on its simulation, G6: time-contrastive learning against a beta-VAE.

Command: python -m experiments.run crl/g6
Expected result: TCL rises with the rows a segment and beats a beta-VAE by .15; shuffled segments leave chance.
Expected time: small 4 min, paper hours on two CPU cores.
"""

import dataclasses

from experiments.crl.segments import Segments

PAPER = Segments()
SCALES = {
    "smoke": dataclasses.replace(PAPER, replications=1, samples=(100,), layers=(2,), steps=40, restarts=1),
    "small": dataclasses.replace(PAPER, replications=5, samples=(100, 2000), layers=(2,), steps=5000, restarts=1),
    "paper": PAPER,
}
