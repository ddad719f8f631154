"""Table 2 on the augmentation the authors drew (their seed): nCER of the solved methods on the optical device.

Command: python -m experiments.run ivl/optical_released_draw --scale paper
Expected result: every cell within .01 of the re-run of the authors' code; see docs/results/ivl.md.
Expected time: small 1 min, paper 5 min on two CPU cores. Needs the optical device files (downloaded once).
"""

from experiments.ivl.released import ReleasedDraw

SCALES = {
    "smoke": ReleasedDraw(splits=1),
    "small": ReleasedDraw(splits=5),
    "paper": ReleasedDraw(splits=20),
}
