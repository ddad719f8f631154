"""Size and power of five tests of independence on traits with three levels.

Command: python -m experiments.run personax/independence
Expected result: 2-10% of independent pairs and at least 78% of both kinds of dependent pairs are rejected; HSIC loses
most of its power in raw units.
Expected time: small 9 min on two CPU cores that six other programs shared, paper four times that.
"""

import dataclasses

from experiments.papers.personax.independence import Rejections

REPRODUCE = "small"

PAPER = Rejections()
SCALES = {
    "smoke": dataclasses.replace(PAPER, draws=10),
    "small": dataclasses.replace(PAPER, draws=200),
    "paper": PAPER,
}
