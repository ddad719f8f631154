"""Table 2 on the augmentation that the authors drew (their seed): nCER of the solved methods on the optical device.

Command: python -m experiments.run ivl/optical_released_draw --scale paper
Expected result: DA+ERM and DA+IVL-CC equal a re-run of the authors' code; the page docs/methods/invariance.md lists the
differences.
Expected time: small 3 min, paper 8 min on two CPU cores. Needs the optical device files (downloaded once).
"""

from experiments.papers.ivl.released import ReleasedDraw

DATA = ("optical_device",)
REPRODUCE = "smoke"

SCALES = {
    "smoke": ReleasedDraw(splits=1),
    "small": ReleasedDraw(splits=5),
    "paper": ReleasedDraw(splits=20),
}
