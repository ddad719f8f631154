"""ACIC 2016: simulated treatments and outcomes on real covariates, ten of the challenge's 7,700 data sets.

Each file is a draw from a different one of the challenge's 77 data-generating processes. Effects are constant in some
and heterogeneous in others, and overlap ranges from weak to strong.

Source: Dorie, Hill, Shalit, Scott and Cervone (2019), Statistical Science 34(1); files as shipped by causallib 0.10.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from causalrep.data.sources.folder import find_file
from causalrep.data.tables.types import EffectBenchmark, check_numbers

BASE_URL = "https://raw.githubusercontent.com/BiomedSciAI/causallib/HEAD/causallib/datasets/data/acic_challenge_2016/"
_COVARIATES_SHA256 = "914d4d6c8dcea14f0268bb0c0558292746cbfbff7111c71434801e8ce48cdbdf"
_SHA256 = (
    "c77c7ba8cefeb350983d9e3918c444004b290e32f53ce028028701387898e175",
    "faf5ad7c584d7c2dd6eed5120de8bb5de0a738b9fc343275d7d59a05efbf8ada",
    "394974df8181524c3a5f0166cae961adc7e1311bf05db2050c1668879bf8e130",
    "478153982835c31ca5442df3dba9020a9b8b04cad2f87d5a2beae56638cdd9e9",
    "96b9252370b5f72da72a643b81a3233337ff274f4abbe74837e152f969f9bb87",
    "73cac08e9444b336417ae99696f2156b96ee096fd195a1ec118fc315571c608e",
    "b456f0f230fdb6b503acf691ed4efaaf59806d7a23f6ac3f7b47a6b6588292c4",
    "3d1d6a5646efaba235f9ed0c41c80644050d88764a1728e9411e1000266560b4",
    "0c3d16e75faf07b8b63c991522270f481c1570f64ebc3c24671e9805612f933e",
    "81fe53b05fce5cf889a5884179dff485e67e9caeabc9fc1cb0da1da39c4dba3b",
)


def acic2016(files: Sequence[int] | None = None) -> EffectBenchmark:
    """ACIC 2016 (n = 4,802, ten data sets): simulated treatment and outcomes on real covariates.

    Args:
        files: File numbers, from 1 to 10; all by default.

    Returns:
        ``x`` (4802, 79) holds the 58 covariates, of which the three categorical ones are indicators without their first
        level; ``t``, ``y``, ``mu0``, ``mu1``, ``y0`` and ``y1`` are (R, 4802).

    Raises:
        DataError: If a file is missing and cannot be downloaded, or is corrupt.
        InputError: If a file number is not between 1 and 10.
    """
    numbers = check_numbers("files", files, largest=len(_SHA256), default=range(1, len(_SHA256) + 1))
    table = pd.read_csv(find_file("acic2016", "x.csv", sha256=_COVARIATES_SHA256, base_url=BASE_URL))
    x = pd.get_dummies(table, drop_first=True)
    # get_dummies puts the indicators last; each goes back to the place of its column.
    x = x[[name for column in table for name in x if name == column or name.startswith(f"{column}_")]]
    parts = [
        pd.read_csv(
            find_file("acic2016", f"zymu_{number}.csv", sha256=_SHA256[number - 1], base_url=BASE_URL)
        ).to_numpy(np.float64)
        for number in numbers
    ]
    t, y0, y1, mu0, mu1 = np.moveaxis(np.stack(parts), 2, 0)
    return EffectBenchmark(
        name="acic2016",
        x=x.to_numpy(np.float64),
        covariates=tuple(x.columns),
        t=t,
        y=np.where(t == 1, y1, y0),
        mu0=mu0,
        mu1=mu1,
        y0=y0,
        y1=y1,
        replications=tuple(numbers),
        source="Atlantic Causal Inference Conference 2016, as shipped by causallib 0.10",
    )
