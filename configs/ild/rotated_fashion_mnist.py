"""ILD on pictures of clothes turned by 0 to 60 degrees.

Command: python -m experiments.run ild/rotated_fashion_mnist
Expected result: of clothes that the classifier knows in 83% of the cases, 66% stay what they are with Relax-Can, 51%
with Dense, 33% in separate models.
Expected time: small 6 min on two CPU cores (14 x 14 pixels, dense networks, three domains); paper: 240 fits of
300,000 steps for accelerators (not measured), each on all devices and saved every ten minutes.
"""

import dataclasses

from experiments.papers.ild.rotated import Rotated

DATA = ("fashion_mnist",)
REPRODUCE = "smoke"

PAPER = Rotated("ild/rotated_fashion_mnist", "fashion_mnist")
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
