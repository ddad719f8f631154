"""The optical device of Janzing and Schölkopf (2018): images of an LED-lit screen with a known confounder.

There are 12 experiments of 1,000 frames. Each frame has 9 pixels X (a 3 x 3 image), the intensity C of the confounding
LED, and the voltage Y of a photodiode. Because C was recorded, the regression of Y on X without confounding is known,
and an estimator that never sees C can be scored against it. The origin's 13th file, experiment 81 on a random image
section, has 10 columns instead of 11 and so lacks one of X, C and Y; it is left out, as in the IVL paper. The data may
be used for any scientific purpose (README of the origin).

Source: D. Janzing and B. Schölkopf, "Detecting confounding in multivariate linear models via spectral analysis",
Journal of Causal Inference 6(1), 2018; files from the repository janzing/janzing.github.io.
"""

from dataclasses import dataclass

import numpy as np

from causalrep.data.sources.folder import find_file
from causalrep.data.sources.tfds import prepared_source
from causalrep.errors import DataError

BASE_URL = "https://raw.githubusercontent.com/janzing/janzing.github.io/master/code/data_from_optical_device/"
_DAY, _SIZE = "LED_as_confounder11-{}-2016_dim=9_exp_no_", "_sample_size=1000_"
# Day in November 2016, brightness factor, suffix of the file name, and checksum of every experiment.
_FILES = {
    69: ("13", "80.0", "", "a3d8408c364bd9d4257f94401603f1058dcfa0c14a54dd4d87e6cbed06089770"),
    70: ("14", "96.0", "", "1c772681ed3301f495de3f84b9d13d984b42e421a432a95376542199e0073329"),
    71: ("14", "70.0", "", "f280b0d13a45f2fcc13a2362a3078a6a14fbc065baef4454794f9fe2de4181bc"),
    72: ("14", "20.0", "", "77625b9e8b34fcc6495286f5ab3ea823d71551542e9725ce8484936a38c1a48b"),
    73: ("14", "95.0", "", "b9a5d1b1dc8ca29e360f385e4524cbcf83c80eae14523f3ee5d34082ec529d57"),
    74: ("15", "95.0", "", "be91e9068fb672d5547084dfc77a974bcb405ce1afc89684aebdcb62a952ca9d"),
    75: ("15", "0", "", "3801d9f530919124d76dd3ac348a480f8700b5e784d5f0713a812a1ac7191620"),
    77: ("15", "40.0", "", "b7e5f5f4e3fda9c859845c4431ea598919b15efc92a82688297210287790fcf3"),
    78: ("15", "60.0", "", "32457fab15bd33ec2b516187656ea1a74602969aef179d79b31df11bed55a3d5"),
    79: ("15", "80.0", "", "f7679972a5bb016f99cc9cdf2009971642224c93cb4912c4e3abb816e72f573d"),
    80: ("15", "99.0", "", "9a5cf51c144e4174c676455b5c67ccf505b769b30506db482dd64d311864825e"),
    82: (
        "16",
        "99.0",
        "pure_confounding",
        "9fc92ecf4898028d855cc70f85a6888b4b1636d26113b50b38aaf349709ecdd0",
    ),
}
PAPER_EXPERIMENTS = tuple(_FILES)


@dataclass(frozen=True)
class OpticalDevice:
    """E experiments of n = 1,000 frames each.

    Attributes:
        experiments: Numbers of the experiments at the origin (E,).
        pixels: X: the 3 x 3 image row by row, in raw camera counts (E, n, 9).
        confounder: C: intensity of the LED (E, n).
        outcome: Y: reading of the photodiode (E, n).
    """

    experiments: tuple[int, ...]
    pixels: np.ndarray
    confounder: np.ndarray
    outcome: np.ndarray


def load_optical_device() -> OpticalDevice:
    """Optical device (Janzing and Schölkopf 2018): 12 confounded experiments of 1,000 images, truth known.

    Raises:
        DataError: If a file is missing and cannot be downloaded, or is corrupt.
    """

    def examples():
        for number in _FILES:
            path = find_file("optical_device", file_name(number), sha256=_FILES[number][3], base_url=BASE_URL)
            yield {"experiment": np.int64(number), "frames": np.loadtxt(path, dtype=np.int64)}

    source = prepared_source(
        "optical_device",
        features={"experiment": ((), np.int64), "frames": ((1000, 11), np.int64)},
        examples=examples,
        description="Optical device of Janzing and Schölkopf (2018).",
        variant="paper",
    )
    rows = sorted((source[i] for i in range(len(source))), key=lambda row: int(row["experiment"]))
    experiments = tuple(int(row["experiment"]) for row in rows)
    if experiments != tuple(_FILES):
        raise DataError(f"optical_device: the prepared copy holds experiments {experiments}, expected {tuple(_FILES)}.")
    frames = np.stack([np.asarray(row["frames"], dtype=np.float64) for row in rows])
    return OpticalDevice(experiments, frames[..., :9], frames[..., 9], frames[..., 10])


def file_name(experiment: int) -> str:
    """File name of one experiment at the origin.

    >>> file_name(69)
    'LED_as_confounder11-13-2016_dim=9_exp_no_69_brfactor_80.0_sample_size=1000_.txt'
    """
    day, brightness, suffix, _ = _FILES[experiment]
    return f"{_DAY.format(day)}{experiment}_brfactor_{brightness}{_SIZE}{suffix}.txt"
