"""Table 2: nCER on the optical device, methods with a closed form, four augmentations.

Command: python -m experiments.run ivl/optical_device --scale paper
Expected result: ERM .824 (deterministic); every other cell within .04 of the paper's, which drew once.
Expected time: small 25 s, paper 60 s on two CPU cores. Needs the optical device files (downloaded once).
"""

from experiments.ivl.optical import OpticalDeviceTable

SCALES = {
    "smoke": OpticalDeviceTable(draws=1),
    "small": OpticalDeviceTable(draws=5),
    "paper": OpticalDeviceTable(draws=20),
}
