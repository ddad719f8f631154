"""ILD on digits 0, 1 and 2, upright or turned by 90 degrees, in colors that depend on digit and domain.

Command: python -m experiments.run ild/colored_rotated_mnist
Expected result: not yet known; when digits are turned by 90 degrees at once, only the networks keep the digit.
Expected time: small 6 min on two CPU cores (14 x 14 pixels, dense networks). Paper scale is 240 fits of 300,000 steps
for accelerators (not measured); each fit uses all devices and is saved every ten minutes.
"""

import dataclasses

from experiments.papers.ild.rotated import Rotated

DATA = ("mnist",)
REPRODUCE = "smoke"

PAPER = Rotated("ild/colored_rotated_mnist", colored=True, images=18_000)
SMALL = dataclasses.replace(
    PAPER,
    pixels=14,
    network="mlp",
    k=(2,),
    seeds=3,
    images=8000,
    steps=3000,
    batch_size=128,
    beta=0.3,
    classifier_steps=1500,
)
SCALES = {
    "smoke": dataclasses.replace(SMALL, seeds=1, images=200, steps=20, classifier_steps=20),
    "small": SMALL,
    "paper": PAPER,
}
