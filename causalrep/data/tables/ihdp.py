"""IHDP: covariates of a real trial with simulated outcomes; all 1,000 public replications are drawn again exactly.

The Infant Health and Development Program randomized home visits and child care for premature babies. Hill (2011) made
it an observational study by leaving out the treated children of non-white mothers, and simulated outcomes for the
remaining 747 children. The replications in use since Shalit et al. (2017) come from the R package NPCI, setting A
(Hill's surface B): ``mu0 = exp(b + (x + 1/2) beta)`` and ``mu1 = b + x beta - omega``, with omega such that the average
effect on the treated is 4. Nothing is downloaded: R's random numbers are reproduced, and the covariates ship with the
PyPI package ``econml`` (MIT license).

Sources: Hill (2011), JCGS 20(1); V. Dorie, NPCI (github.com/vdorie/npci); Shalit, Johansson and Sontag (2017).
"""

from collections.abc import Sequence
from importlib import resources

import numpy as np
import pandas as pd

from causalrep.data.sources.packages import package_file
from causalrep.data.sources.r_random import RRandom
from causalrep.data.tables.types import EffectBenchmark, check_numbers

REPLICATIONS = 1000
CONTINUOUS = ("bw", "b.head", "preterm", "birth.o", "nnhealth", "momage")
BINARY = (
    "sex",
    "twin",
    "b.marr",
    "mom.lths",
    "mom.hs",
    "mom.scoll",
    "cig",
    "first",
    "booze",
    "drugs",
    "work.dur",
    "prenatal",
)
SITES = ("ark", "ein", "har", "mia", "pen", "tex", "was")

_TABLE_SHA256 = "f00fc75f44f66f8afc52686943a65fbf651593bdb5756b0ac14b4d70c0b81a32"
EFFECT_ON_TREATED = 4.0
SHIFT = 0.5
# R samples the slopes (0, .1, .2, .3, .4) with probabilities (.6, .1, .1, .1, .1). It first sorts the probabilities by
# a heap sort that is not stable, so that a uniform draw below 0.6 gives 0, one below 0.7 gives 0.2, and so on.
_THRESHOLDS = (0.6, 0.7, 0.8, 0.9)
_SLOPES = np.array([0.0, 0.2, 0.3, 0.4, 0.1])
_INTERCEPTS = np.linspace(-1.0, 1.0, 9)
# Imputed head circumferences with all digits of the R table; econml's copy has eight decimals.
_IMPUTED_HEADS = (
    28.6485212825386,
    26.162500918433,
    32.5398625570605,
    31.805115262959,
    27.8475792129439,
    25.8337597241784,
    28.5614470786938,
    29.1597043410632,
    30.7123988413907,
    28.5724393724005,
    29.7069979495901,
    28.1686165171493,
    26.3043500188915,
    25.5479065293033,
    27.7123017699448,
    28.847784507156,
    29.3146062385282,
    26.1564567533496,
    32.2203154739944,
    27.0594276195741,
    29.2616070397943,
    29.4113523889125,
    30.0640642153676,
    29.9909298620003,
    32.17152809405,
    31.0135379854889,
    31.7286672716404,
    32.4598184949829,
    24.9980752557452,
    31.2566395785949,
    25.8573999166729,
    25.2441974600055,
)


def ihdp(replications: Sequence[int] | None = None) -> EffectBenchmark:
    """IHDP with simulated outcomes (n = 747, 1,000 replications): home visits and test scores of premature babies.

    Args:
        replications: Replication numbers, from 1 to 1000; by default 1 to 100 ("IHDP-100").

    Returns:
        ``x`` (747, 25), ``t`` (747,), and ``y``, ``mu0``, ``mu1``, ``y0`` and ``y1`` (R, 747). For replications 1 to
        100 ``test_rows`` (R, 75) is the canonical split. The split published with 101 to 1000 is unknown to us; theirs
        is the first 75 entries of NumPy's ``RandomState(number).permutation(747)``.

    Raises:
        DataError: If the package ``econml`` is not installed or ships another table.
        InputError: If a replication is not between 1 and 1000.
    """
    numbers = check_numbers("replications", replications, largest=REPLICATIONS, default=range(1, 101))
    x, t = covariates()
    drawn = [_simulate(x, t, number) for number in numbers]
    mu0, mu1, y0, y1 = (np.stack(values) for values in zip(*drawn, strict=True))
    return EffectBenchmark(
        name="ihdp",
        x=x,
        covariates=CONTINUOUS + BINARY + SITES,
        t=t,
        y=np.where(t == 1, y1, y0),
        mu0=mu0,
        mu1=mu1,
        y0=y0,
        y1=y1,
        replications=tuple(numbers),
        test_rows=_test_rows(numbers),
        source="covariates: PyPI package econml; outcomes: NPCI setting A, drawn with R's generator",
    )


def covariates() -> tuple[np.ndarray, np.ndarray]:
    """The covariates (747, 25), of which the six continuous ones are standardized, and the treatment (747,).

    Raises:
        DataError: If the package ``econml`` is not installed or ships another table.
    """
    frame = pd.read_csv(package_file("ihdp", "econml", "data", "ihdp", "sim.csv", sha256=_TABLE_SHA256))
    frame = frame[(frame["treat"] == 0) | (frame["momwhite"] == 1)]
    heads = {round(head, 8): head for head in _IMPUTED_HEADS}
    exact = frame["b.head"].map(lambda head: heads.get(head, head))
    frame = frame.assign(**{"b.head": exact, "first": 1 + frame["first"]})
    columns = [*CONTINUOUS, *BINARY, *(f"site{i}" for i in range(1, 8))]
    x = frame[columns].to_numpy(np.float64)
    numeric = x[:, : len(CONTINUOUS)]
    x[:, : len(CONTINUOUS)] = (numeric - numeric.mean(0)) / numeric.std(0, ddof=1)
    return x, frame["treat"].to_numpy(np.float64)


def _simulate(x: np.ndarray, t: np.ndarray, number: int) -> tuple[np.ndarray, ...]:
    """``mu0``, ``mu1``, ``y0`` and ``y1`` of one replication, each (n,)."""
    n, d = x.shape
    stream = replication_stream(number)
    intercept, beta = draw_coefficients(stream, d)
    mu0 = np.exp(intercept + (x + SHIFT) @ beta)
    linear = intercept + x @ beta
    # omega = mean(b + x beta - mu0 | t = 1) - 4.
    mu1 = linear - (np.mean((linear - mu0)[t == 1]) - EFFECT_ON_TREATED)
    return mu0, mu1, mu0 + stream.normal(n), mu1 + stream.normal(n)


def replication_stream(number: int) -> RRandom:
    """R's random numbers of replication ``number``, by NPCI's rule for the seeds."""
    return RRandom(5 * number + (565 if number <= 500 else 7565))


def draw_coefficients(stream: RRandom, d: int) -> tuple[float, np.ndarray]:
    """Intercept b and slopes beta (d,), from the first 1 + d numbers of a replication's stream."""
    uniforms = stream.uniform(1 + d)
    return _INTERCEPTS[int(9 * uniforms[0])], _SLOPES[np.searchsorted(_THRESHOLDS, uniforms[1:], side="right")]


def _test_rows(numbers: list[int]) -> np.ndarray:
    text = resources.files("causalrep.data.tables").joinpath("ihdp_100_test_rows.txt").read_text(encoding="utf-8")
    canonical = np.array([line.split() for line in text.splitlines() if not line.startswith("#")], np.int64)
    return np.stack([canonical[number - 1] if number <= len(canonical) else _seeded_rows(number) for number in numbers])


def _seeded_rows(number: int) -> np.ndarray:
    # NumPy's legacy generator, because its stream is frozen and published numbers were computed with this split.
    return np.random.RandomState(number).permutation(747)[:75]
