"""ILD on images of clothes (Fashion-MNIST) turned by 0 to 60 degrees.

Command: python -m experiments.run ild/rotated_fashion_mnist
Expected result: the classifier recognizes 83% of the clothes; 66% stay in their class with Relax-Can, 51% with Dense
and 33% in separate models.
Expected time: small 6 min on two CPU cores (14 x 14 pixels, dense networks, three domains). Paper scale is 240 fits of
300,000 steps for accelerators (not measured); each fit uses all devices and is saved every ten minutes.
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
