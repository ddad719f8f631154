"""Twins: mortality in the first year of the lighter and the heavier twin of pairs that weigh under two kilograms each.

The unit is a pair, the treatment is being the heavier twin, and both outcomes were observed. Louizos et al. (2017)
hide one of them by a treatment that they simulate from the weeks of gestation; the covariates contain three noisy
copies of the gestation class.
"""

import numpy as np
import pandas as pd

from causalrep.data.sources.folder import find_file
from causalrep.data.tables.types import EffectBenchmark

BASE_URL = "https://raw.githubusercontent.com/shalit-lab/Benchmarks/HEAD/Twins/"
_SHA256 = "0262c41d518c582d56591186a54455254ff641973bf627c74abdca2a89a2b9d0"


def twins() -> EffectBenchmark:
    """Twins (n = 11,984 pairs): being the heavier twin and mortality; both outcomes known, treatment simulated.

    Returns:
        ``x`` (11984, 75), ``t`` and ``y`` (11984,), and the observed outcomes of both twins, ``y0`` and ``y1``. There
        is no noiseless truth: ``mu0`` and ``mu1`` are None. Column names that the file repeats (the copies of the
        gestation class) have a suffix ``.1`` or ``.2``.

    Raises:
        DataError: If the file is missing and cannot be downloaded, or is corrupt.
    """
    frame = pd.read_csv(find_file("twins", "Final_data_twins.csv", sha256=_SHA256, base_url=BASE_URL))
    covariates = tuple(frame.columns[1:76])
    t, y0, y1 = (frame[name].to_numpy(np.float64) for name in ("T", "y0", "y1"))
    return EffectBenchmark(
        name="twins",
        x=frame[list(covariates)].to_numpy(np.float64),
        covariates=covariates,
        t=t,
        y=np.where(t == 1, y1, y0),
        y0=y0,
        y1=y1,
        source="US linked birth and infant death records, 1989-1991, as prepared by Louizos et al. (2017)",
    )
