"""ILD on digits turned by 0 to 60 degrees: do counterfactual digits turn and stay the same digit?

Command: python -m experiments.run ild/rotated_mnist
Expected result: 76% stay the same digit in the sparse families, 72% in the dense one and 36% in separate models; in all
of them only 72-79% reach the target domain.
Expected time: small 5 min on two CPU cores (14 x 14 pixels, dense networks, three domains). Paper scale is 240 fits of
300,000 steps for accelerators (not measured); each fit uses all devices and is saved every ten minutes.
"""

import dataclasses

from experiments.papers.ild.rotated import Rotated

DATA = ("mnist",)
REPRODUCE = "smoke"

PAPER = Rotated()
SMALL = dataclasses.replace(
    PAPER,
    angles=(0.0, 20.0, 40.0),
    pixels=14,
    network="mlp",
    k=(2,),
    seeds=3,
    images=3000,
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
