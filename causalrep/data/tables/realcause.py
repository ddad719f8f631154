"""RealCause: samples of generative models that were fitted to real data, so that both potential outcomes are known.

The outcomes are draws, not expectations, so the individual effects in a single sample are mostly noise. Compare
estimates with averages over samples.

Source: Neal, Huang and Raghupathi (2020), arXiv 2011.15007.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from causalrep.base.validation import check_choice
from causalrep.data.sources.folder import find_file
from causalrep.data.tables.types import EffectBenchmark
from causalrep.errors import InputError

Original = Literal["lalonde_psid", "lalonde_cps", "twins"]
BASE_URL = "https://raw.githubusercontent.com/bradyneal/realcause/HEAD/realcause_datasets/"
# Checksums of the first few of the origin's hundred samples.
_SHA256 = {
    "lalonde_psid": (
        "a9db4cd3e180ddea8609d4415de8c24032cd49ed2b881a9b4876aedf4155b347",
        "f6a6a20bdcc43ab37ee353568c6f8c3c44ad9f7efd4ab0323b06a151599b57fc",
        "9cfa985ca501a282d4b987e369b59bb894da6b47f7bb0927f63e5aab6d871117",
        "205b2ddacbbbb2e692042ef17b5e5e259bbc04aa6b169feebd35bab9f6d1e90e",
        "df81a49a56f9ed3cb859e28eb53ccfe93ddebb3b10faa932e69ea58716cdcdf8",
    ),
    "lalonde_cps": (
        "20ce33e76b4dd68c3a81cacbf802c768a45ce0133084785bd7d2f98d80c6f865",
        "84ecb89bbc1b158e9cd00e4d6806fb05f84db7c7bbd93ddc0c7ff49657c47305",
    ),
    "twins": (
        "e694482629fbf90d28f089983b5a599765f48782ad54793e69cd56ce8440a2ed",
        "a7648d0632086a474163b6c5365a77137d44efc9b33a74347fac3266858816c4",
        "71db600301dbd311d48178a4e78aa8e0f397d5bff4c8507311069459a2f578fe",
    ),
}


def realcause(original: Original = "lalonde_psid", samples: Sequence[int] | None = None) -> EffectBenchmark:
    """RealCause (Neal et al. 2020): outcomes drawn from generative models of LaLonde's data or Twins.

    Args:
        original: The data set that the generator was fitted to.
        samples: Sample numbers at the origin, from 0. By default all that have a checksum here: 5 of
            ``"lalonde_psid"``, 2 of ``"lalonde_cps"`` and 3 of ``"twins"``.

    Returns:
        ``x`` (n, d), and ``t``, ``y``, ``y0`` and ``y1`` (R, n), with n = 2,675 (``"lalonde_psid"``), 16,177
        (``"lalonde_cps"``) or 11,984 (``"twins"``). ``mu0`` and ``mu1`` are unknown.

    Raises:
        DataError: If a file is missing and cannot be downloaded, or is corrupt.
        InputError: If the original or a sample number is unknown.
    """
    check_choice("original", original, get_args(Original))
    known = _SHA256[original]
    numbers = list(range(len(known))) if samples is None else list(samples)
    if not numbers or any(number not in range(len(known)) for number in numbers):
        raise InputError("samples", found=f"{numbers}", expected=f"numbers from 0 to {len(known) - 1} for {original}")
    frames = [
        pd.read_csv(find_file("realcause", f"{original}_sample{i}.csv", sha256=known[i], base_url=BASE_URL))
        for i in numbers
    ]
    covariates = tuple(name for name in frames[0] if name not in ("t", "y", "y0", "y1", "ite"))
    t, y, y0, y1 = (np.stack([f[name].to_numpy(np.float64) for f in frames]) for name in ("t", "y", "y0", "y1"))
    return EffectBenchmark(
        name=f"realcause/{original}",
        x=frames[0][list(covariates)].to_numpy(np.float64),
        covariates=covariates,
        t=t,
        y=y,
        y0=y0,
        y1=y1,
        replications=tuple(numbers),
        source="RealCause (Neal et al. 2020)",
    )
