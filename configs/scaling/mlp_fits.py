"""Small networks against a linear regression and the noise floor: 64 fits per cell in one program for any mesh.

Command: python -m experiments.run scaling/mlp_fits --scale paper
Expected result: truth < network < line at every sample size, and the network's error falls with the number of rows.
Expected time: small 20 s, paper 30 s on two CPU cores, nearly all of it compiling (192 fits).
"""

import dataclasses

from experiments.scaling.mlp_fits import MLPFits

REPRODUCE = "small"

PAPER = MLPFits()
SCALES = {
    "smoke": dataclasses.replace(PAPER, fits=4, samples=(128, 512), steps=100),
    "small": dataclasses.replace(PAPER, samples=(128, 512)),
    "paper": PAPER,
}
