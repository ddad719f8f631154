"""ILD on scikit-learn's digits (8 x 8 pixels), turned by 0, 20 and 40 degrees: the image experiment for a CPU.

Command: python -m experiments.run ild/rotated_digits
Expected result: every family turns all digits; 86% stay the same digit in the sparse families, 82% in the dense one and
38% in separate models.
Expected time: small 5 min on two CPU cores.
"""

import dataclasses

from experiments.papers.ild.rotated import Rotated

DATA = ("small_digits",)
REPRODUCE = "smoke"

SMALL = Rotated(
    "ild/rotated_digits",
    "small_digits",
    angles=(0.0, 20.0, 40.0),
    pixels=8,
    network="mlp",
    k=(2,),
    seeds=5,
    images=1438,
    steps=3000,
    batch_size=128,
    beta=0.1,
    classifier_steps=1000,
)
SCALES = {
    "smoke": dataclasses.replace(SMALL, seeds=1, images=200, steps=20, classifier_steps=20),
    "small": SMALL,
    "paper": dataclasses.replace(SMALL, seeds=20, k=(1, 2, 5)),
}
