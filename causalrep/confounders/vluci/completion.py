"""Effect estimators on data completed with an inferred confounder: any estimator, fitted once or once per draw."""

import copy
import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from causalrep.errors import CausalrepError, NoIntervalError, OverlapWarning
from causalrep.inference.pooling import Pooled, pool
from causalrep.precision import in_float64


class Completed(NamedTuple):
    """An estimator fitted to data with U filled in, for each of S values of U.

    Attributes:
        estimators: The fitted copies.
        effects: Effects at the rows of the fit, mean over the copies (n,).
        average: The pooled average effect, or that of the single copy. The standard error is NaN if the estimator gives
            no interval.
        why_no_interval: The estimator's reason, or "".
    """

    estimators: tuple[Any, ...]
    effects: np.ndarray
    average: Pooled
    why_no_interval: str


@in_float64
def complete(estimator: Any, y: np.ndarray, t: np.ndarray, x: np.ndarray, us: np.ndarray) -> Completed:
    """Fit a copy of ``estimator`` with covariates ``(x, u)`` for each u, and pool by Rubin's rules.

    Args:
        estimator: Anything with ``fit(Y, T, X=X)``, ``effect(X)``, ``ate()`` and ``ate_interval(alpha)``.
        y: Outcome (n,).
        t: Treatment (n,).
        x: Covariates (n, d).
        us: Values of the confounder (S, n, k).
    """
    fitted, clipped = [], 0
    for u in us:
        # Overlap warnings, one for each draw of U, become a single one; all others are passed on.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", OverlapWarning)
            fitted.append(copy.deepcopy(estimator).fit(y, t, X=np.column_stack([x, u])))
        overlap = [warning for warning in caught if issubclass(warning.category, OverlapWarning)]
        clipped += bool(overlap)
        for warning in caught:
            if warning not in overlap:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if clipped:
        warnings.warn(
            f"Given X and U some propensities had to be clipped, in {clipped} of {len(us)} completed data sets: for "
            "those units there is hardly a comparison.",
            OverlapWarning,
            stacklevel=3,
        )
    effects = np.mean([one.effect(np.column_stack([x, u])) for one, u in zip(fitted, us, strict=True)], axis=0)
    values = np.array([one.ate() for one in fitted])
    errors, reason = _standard_errors(fitted)
    if len(fitted) > 1:
        average = Pooled(*map(np.asarray, pool(values, errors**2)))
    else:
        average = Pooled(values[0], errors[0], errors[0] ** 2, np.float64(0.0), np.float64(np.inf))
    return Completed(tuple(fitted), effects, average, reason)


def _standard_errors(fitted: list[Any]) -> tuple[np.ndarray, str]:
    """Standard errors from the 95% intervals, since ``ate_interval`` is what all estimators have in common."""
    try:
        intervals = np.array([one.ate_interval(alpha=0.05) for one in fitted])
    except (NoIntervalError, AttributeError) as error:
        reason = str(error) if isinstance(error, CausalrepError) else f"{type(fitted[0]).__name__} has no ate_interval"
        return np.full(len(fitted), np.nan), reason
    return (intervals[:, 1] - intervals[:, 0]) / (2 * stats.norm.isf(0.025)), ""
