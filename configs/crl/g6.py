"""Nonlinear ICA from 20 segments on its simulation, G6: TCL and iVAE against a beta-VAE.

Command: python -m experiments.run crl/g6
Expected result: both rise with the rows a segment and beat a beta-VAE by .15; with one segment nothing beats chance.
Expected time: small 6 min, paper hours on two CPU cores.
"""

import dataclasses

from experiments.crl.segments import Segments

PAPER = Segments()
SCALES = {
    "smoke": dataclasses.replace(PAPER, replications=1, samples=(100,), layers=(2,), steps=40, restarts=1),
    "small": dataclasses.replace(PAPER, replications=5, samples=(100, 2000), layers=(2,), steps=5000, restarts=1),
    "paper": PAPER,
}
