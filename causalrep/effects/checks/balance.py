"""Balance: are the covariates of the arms alike, before and after weighting?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from causalrep.base.validation import as_matrix, as_vector, check_index_alignment, check_rows
from causalrep.effects.design import check_treatment
from causalrep.errors import InputError

# By convention, a covariate is out of balance if its standardized difference is larger.
RULE_OF_THUMB = 0.1
# Means and standard deviations below this share of a covariate's largest value are rounding.
_ROUNDING = 1e-10


@dataclass(frozen=True)
class BalanceTable:
    """Balance of the covariates.

    Attributes:
        frame: One row per covariate: means of the arms, standardized difference and variance ratio, before weighting
            and (columns ending in ``_weighted``) after it.
    """

    frame: pd.DataFrame

    def worst(self) -> float:
        """Largest absolute standardized difference, after weighting if there are weights."""
        column = "difference_weighted" if "difference_weighted" in self.frame else "difference"
        return float(self.frame[column].abs().max())

    def __str__(self) -> str:
        return self.frame.to_string(float_format="{:.3f}".format)


def balance_table(X: Any, T: Any, weights: Any = None, *, names: Sequence[str] | None = None) -> BalanceTable:
    """Standardized mean differences ``(mean_1 - mean_0) / sqrt((var_1 + var_0) / 2)`` and variance ratios.

    The denominator comes from the unweighted data, so that weighting changes only the numerator (Austin 2009;
    Rosenbaum and Rubin 1985). A covariate that is constant in both arms has difference 0.

    Args:
        X: Covariates (n, d).
        T: Treatment, 0 or 1 (n,), at least two rows of each.
        weights: Weights of the rows (n,), or None.
        names: Names of the covariates; by default those of ``X``.

    Raises:
        InputError: If an argument is wrong, or pandas indexes differ; the message names it.

    >>> table = balance_table([[1.0], [2.0], [3.0], [4.0]], [0, 0, 1, 1], names=["age"])
    >>> round(table.worst(), 3)
    2.828
    """
    check_index_alignment(X=X, T=T, weights=weights)
    x, columns_of_x = as_matrix("X", X)
    t, _ = as_vector("T", T, rows=len(x))
    check_treatment(t, 2)
    names = list(columns_of_x if names is None else names)
    check_rows("names", len(names), rows=x.shape[1], of="the columns of X")
    columns = _columns(x, t, np.ones(len(x)))
    scale = np.sqrt((columns["variance_1"] + columns["variance_0"]) / 2)
    rounding = _ROUNDING * np.abs(x).max(axis=0)
    scale[scale <= rounding] = 0.0
    frame = _described(columns, scale, rounding, "")
    if weights is not None:
        w, _ = as_vector("weights", weights, rows=len(x))
        if (w < 0).any() or not all(w[t == arm].sum() > 0 for arm in (0, 1)):
            raise InputError(
                "weights",
                found="negative values, or an arm without weight",
                expected="at least 0, positive in each arm",
            )
        frame |= _described(_columns(x, t, w), scale, rounding, "_weighted")
    return BalanceTable(pd.DataFrame(frame, index=names))


def _columns(x: np.ndarray, t: np.ndarray, w: np.ndarray) -> dict[str, np.ndarray]:
    moments: dict[str, np.ndarray] = {}
    for arm in (0, 1):
        rows, share = x[t == arm], w[t == arm] / w[t == arm].sum()
        mean = share @ rows
        # With the weights as shares s, 1 / (1 - sum s^2) is n / (n - 1) for equal ones: the unbiased variance.
        with np.errstate(divide="ignore", invalid="ignore"):  # all weight on one row leaves no variance: NaN
            variance = share @ (rows - mean) ** 2 / (1 - np.sum(share**2))
        moments |= {f"mean_{arm}": mean, f"variance_{arm}": variance}
    return moments


def _described(
    columns: dict[str, np.ndarray], scale: np.ndarray, rounding: np.ndarray, suffix: str
) -> dict[str, np.ndarray]:
    gap = columns["mean_1"] - columns["mean_0"]
    gap = np.where(np.abs(gap) <= rounding, 0.0, gap)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.where(scale > 0, gap / scale, np.where(gap == 0, 0.0, np.sign(gap) * np.inf))
        ratio = np.divide(
            *(np.where(columns[f"variance_{a}"] <= rounding**2, 0, columns[f"variance_{a}"]) for a in (1, 0))
        )
    return {
        f"untreated{suffix}": columns["mean_0"],
        f"treated{suffix}": columns["mean_1"],
        f"difference{suffix}": difference,
        f"variance_ratio{suffix}": ratio,
    }
