"""Calibration of estimated effects: do units with a larger estimate gain more?

The scores are doubly robust, so they are unbiased for the effect whatever the estimates under test. The estimates must
come from other rows than the scores, or from cross-fitting: on its own training rows a learner looks calibrated.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from causalrep.base.summary import z_value
from causalrep.base.validation import as_vector, check_count, check_index_alignment, check_range
from causalrep.errors import InputError
from causalrep.inference.sandwich import sandwich_covariance
from causalrep.precision import in_float64


@dataclass(frozen=True)
class Calibration:
    """Calibration of estimated effects against doubly robust scores.

    Attributes:
        groups: One row per group of units with similar estimates, in ascending order: number of rows, mean estimate,
            mean score and its standard error.
        slope: Coefficient of the centered estimates in the regression of the scores: 1 if their spread is right, below
            1 if it is exaggerated, 0 if the estimates carry no information about who gains.
        slope_se: Its HC3 standard error.
        slope_p_value: One-sided p-value of the hypothesis that the slope is at most 0.
        intercept: Mean score, an unbiased estimate of the average effect.
        error: Root mean squared difference between the group means of estimates and scores, after subtracting the
            sampling variance of the latter (at least 0).
    """

    groups: pd.DataFrame
    slope: float
    slope_se: float
    slope_p_value: float
    intercept: float
    error: float


@in_float64
def calibration(effect: np.ndarray, scores: np.ndarray, *, groups: int = 5) -> Calibration:
    """Compare estimated effects with doubly robust scores of the same rows.

    Args:
        effect: Estimated effects (n,), from other rows or cross-fitted.
        scores: Doubly robust scores (n,), such as ``scores_`` of a fitted estimator.
        groups: Number of groups, as equally large as ties allow: equal estimates are in one group, and a group that
            ties leave empty is left out.

    Raises:
        InputError: If values are not finite, the estimates are equal, pandas indexes differ, or ties leave a group with
            a single row.

    Source: the best linear predictor of Chernozhukov, Demirer, Duflo and Fernández-Val (2018), with scores.
    """
    check_index_alignment(effect=effect, scores=scores)
    estimate, _ = as_vector("effect", effect)
    score, _ = as_vector("scores", scores, rows=len(estimate))
    check_count("groups", groups, at_least=2)
    check_range("groups", groups, at_most=len(estimate) // 2)
    if np.ptp(estimate) <= 1e-10 * np.abs(estimate).max():
        raise InputError("effect", found="the same effect for every row", expected="estimates that differ")
    group = _groups(estimate, int(groups))
    parts = [
        {
            "rows": len(rows),
            "estimate": estimate[rows].mean(),
            "score": score[rows].mean(),
            "se": score[rows].std(ddof=1) / np.sqrt(len(rows)),
        }
        for rows in (np.flatnonzero(group == number) for number in np.unique(group))
    ]
    frame = pd.DataFrame(parts, index=pd.RangeIndex(1, len(parts) + 1, name="group"))
    # Centered, so that the intercept is the mean score; scaled, so that the units of the estimates do not matter.
    spread = estimate.std()
    design = np.column_stack([np.ones(len(score)), (estimate - estimate.mean()) / spread])
    coefficients = np.linalg.lstsq(design, score, rcond=None)[0]
    covariance = sandwich_covariance(design, score - design @ coefficients, design.T @ design, "HC3")
    slope, se = coefficients[1] / spread, float(np.sqrt(np.asarray(covariance)[1, 1])) / spread
    squared_gap = np.mean((frame["estimate"] - frame["score"]) ** 2 - frame["se"] ** 2)
    return Calibration(
        frame,
        float(slope),
        float(se),
        float(stats.norm.sf(z_value(slope, se))),
        float(coefficients[0]),
        float(np.sqrt(max(squared_gap, 0.0))),
    )


def _groups(estimate: np.ndarray, count: int) -> np.ndarray:
    """Numbers of the groups; the middle of a run of ties decides for all of it, so that the order of rows does not."""
    _, run, rows = np.unique(estimate, return_inverse=True, return_counts=True)
    numbers = np.repeat(np.arange(count), [len(part) for part in np.array_split(estimate, count)])
    middle = np.cumsum(rows) - rows + (rows - 1) // 2
    group = numbers[middle][run]
    if np.bincount(group)[np.unique(group)].min() < 2:
        raise InputError("effect", found="ties that leave a group with one row", expected="fewer groups")
    return group
