"""Table 2: nCER on the optical device, methods with a closed form, four augmentations.

Command: python -m experiments.run ivl/optical_device --scale paper
Expected result: ERM .824 (deterministic); other cells within .02 of the paper's, DA+IV within .03.
Expected time: small 30 s, paper 2 minutes on two CPU cores. Needs the optical device files (downloaded once).
"""

from experiments.ivl.optical import OpticalDeviceTable

SCALES = {
    "smoke": OpticalDeviceTable(draws=1),
    "small": OpticalDeviceTable(draws=5),
    "paper": OpticalDeviceTable(draws=20),
}
