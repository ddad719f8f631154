"""NHEFS: smoking cessation and weight gain, the running example of Hernán and Robins, "Causal Inference: What If"."""

import numpy as np

from causalrep.data.sources.packages import check_table, data_package
from causalrep.data.tables.types import EffectTable

COVARIATES = ("sex", "race", "age", "school", "smokeintensity", "smokeyrs", "exercise", "active", "wt71")


def nhefs() -> EffectTable:
    """NHEFS (n = 1,566): quitting smoking between 1971 and 1982, and the change of weight in kg.

    The sample are the people whose weight was measured in both years. ``covariates`` are the book's nine; ``school`` is
    years of schooling, which the book uses in five groups (column ``education`` of ``frame``).

    Raises:
        DataError: If the package ``causaldata`` is not installed or ships another table.
    """
    frame = data_package("nhefs", "causaldata").nhefs_complete.load_pandas().data.reset_index(drop=True)
    used = ["wt82_71", "qsmk", *COVARIATES]
    check_table("nhefs", frame, used, rows=1566, origin="the package causaldata")
    frame = frame.astype(dict.fromkeys(used, np.float64))
    return EffectTable("nhefs", frame, "wt82_71", "qsmk", COVARIATES, "PyPI package causaldata")
