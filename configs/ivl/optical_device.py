"""Table 2: nCER of fifteen methods with four augmentations on the optical device.

Command: python -m experiments.run ivl/optical_device --scale paper
Expected result: ERM has .824 (deterministic); solved methods are within .04 of the paper's numbers; trained ones are
near 1.
Expected time: smoke 1 min (solved methods), small 6 min, paper 20 min on two CPU cores. Needs files (downloaded once).
"""

from experiments.papers.ivl.optical import OpticalDeviceTable

DATA = ("optical_device",)
REPRODUCE = "smoke"
MAIN = True

SCALES = {
    "smoke": OpticalDeviceTable(draws=1, trained=False),
    "small": OpticalDeviceTable(draws=5),
    "paper": OpticalDeviceTable(draws=20),
}
