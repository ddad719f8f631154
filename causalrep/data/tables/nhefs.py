"""NHEFS: smoking cessation and weight gain, the running example of Hernán and Robins, "What If"."""

import numpy as np

from causalrep.data.tables.types import EffectTable
from causalrep.errors import DataError

COVARIATES = ("sex", "race", "age", "school", "smokeintensity", "smokeyrs", "exercise", "active", "wt71")


def nhefs() -> EffectTable:
    """NHEFS (n = 1,566): quitting smoking between 1971 and 1982, and the change of weight in kg.

    The people whose weight was measured in both years. ``covariates`` are the book's nine; ``school`` is the years of
    schooling, which the book uses in five groups (column ``education`` of ``frame``).

    Raises:
        DataError: If the package ``causaldata`` is not installed or ships another table.
    """
    try:
        import causaldata
    except ImportError as error:
        raise DataError(
            "nhefs: comes with the PyPI package 'causaldata', which is not installed. "
            "Install it with: pip install 'causalrep[data]'"
        ) from error
    frame = causaldata.nhefs_complete.load_pandas().data
    used = ["wt82_71", "qsmk", *COVARIATES]
    if len(frame) != 1566 or frame[used].isna().any().any():
        raise DataError(f"nhefs: the 'causaldata' package holds {len(frame)} rows, expected 1566 complete ones.")
    frame = frame.reset_index(drop=True).astype(dict.fromkeys(used, np.float64))
    return EffectTable("nhefs", frame, "wt82_71", "qsmk", COVARIATES, "PyPI package causaldata")
