"""Calibration of estimated effects: do units with a larger estimate gain more?

The scores are doubly robust, so they are unbiased for the effect whatever the estimates under test. The estimates must
come from other rows than the scores, or from cross-fitting: on its own training rows a learner looks calibrated.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from causalrep.base.validation import as_vector, check_range
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
        groups: Number of equally large groups.

    Source: the best linear predictor of Chernozhukov, Demirer, Duflo and Fernández-Val (2018), with scores.
    """
    estimate, _ = as_vector("effect", effect)
    score, _ = as_vector("scores", scores, rows=len(estimate))
    count = int(check_range("groups", groups, at_least=2, at_most=len(estimate) // 2))
    if np.ptp(estimate) == 0:
        raise InputError("effect", found="the same effect for every row", expected="estimates that differ")
    order = np.argsort(estimate, kind="stable")
    parts = [
        {
            "rows": len(rows),
            "estimate": estimate[rows].mean(),
            "score": score[rows].mean(),
            "se": score[rows].std(ddof=1) / np.sqrt(len(rows)),
        }
        for rows in np.array_split(order, count)
    ]
    frame = pd.DataFrame(parts, index=pd.RangeIndex(1, count + 1, name="group"))
    # Centered, so that the intercept is the mean score.
    design = np.column_stack([np.ones(len(score)), estimate - estimate.mean()])
    coefficients = np.linalg.lstsq(design, score, rcond=None)[0]
    covariance = sandwich_covariance(design, score - design @ coefficients, design.T @ design, "HC3")
    se = float(np.sqrt(np.asarray(covariance)[1, 1]))
    squared_gap = np.mean((frame["estimate"] - frame["score"]) ** 2 - frame["se"] ** 2)
    return Calibration(
        frame,
        float(coefficients[1]),
        se,
        float(stats.norm.sf(coefficients[1] / se)),
        float(coefficients[0]),
        float(np.sqrt(max(squared_gap, 0.0))),
    )
