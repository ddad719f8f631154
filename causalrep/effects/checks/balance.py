"""Balance: are the covariates of the arms alike, before and after weighting?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from causalrep.base.validation import as_matrix, as_vector
from causalrep.errors import InputError

# Beyond this standardised difference a covariate is usually called out of balance.
RULE_OF_THUMB = 0.1


@dataclass(frozen=True)
class BalanceTable:
    """Balance of the covariates.

    Attributes:
        frame: One row a covariate: means of the arms, standardised difference and variance ratio, before and (columns
            ending in ``_weighted``) after weighting.
    """

    frame: pd.DataFrame

    def worst(self) -> float:
        """Largest absolute standardised difference, after weighting if there are weights."""
        column = "difference_weighted" if "difference_weighted" in self.frame else "difference"
        return float(self.frame[column].abs().max())

    def __str__(self) -> str:
        return self.frame.to_string(float_format="{:.3f}".format)


def balance_table(X: Any, T: Any, weights: Any = None, *, names: Sequence[str] | None = None) -> BalanceTable:
    """Standardised mean differences ``(mean_1 - mean_0) / sqrt((var_1 + var_0) / 2)`` and variance ratios.

    The denominator is that of the unweighted data, so that weighting changes the numerator alone (Austin 2009;
    Rosenbaum and Rubin 1985). A covariate that is constant in both arms has difference 0.

    Args:
        X: Covariates (n, d).
        T: Treatment, 0 or 1 (n,).
        weights: Of the rows (n,), or None.
        names: Of the covariates; by default those of ``X``.
    """
    x, found = as_matrix("X", X)
    t, _ = as_vector("T", T, rows=len(x))
    names = list(found if names is None else names)
    columns = _columns(x, t, np.ones(len(x)))
    scale = np.sqrt((columns["variance_1"] + columns["variance_0"]) / 2)
    frame = _described(columns, scale, "")
    if weights is not None:
        w, _ = as_vector("weights", weights, rows=len(x))
        if (w < 0).any() or not all(w[t == arm].sum() > 0 for arm in (0, 1)):
            raise InputError(
                "weights", found="negative ones, or an arm without weight", expected="at least 0, positive in each arm"
            )
        frame |= _described(_columns(x, t, w), scale, "_weighted")
    return BalanceTable(pd.DataFrame(frame, index=names))


def _columns(x: np.ndarray, t: np.ndarray, w: np.ndarray) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for arm in (0, 1):
        rows, share = x[t == arm], w[t == arm] / w[t == arm].sum()
        mean = share @ rows
        # Unbiased for equal weights.
        found |= {f"mean_{arm}": mean, f"variance_{arm}": share @ (rows - mean) ** 2 / (1 - np.sum(share**2))}
    return found


def _described(columns: dict[str, np.ndarray], scale: np.ndarray, suffix: str) -> dict[str, np.ndarray]:
    gap = columns["mean_1"] - columns["mean_0"]
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.where(scale > 0, gap / scale, np.where(gap == 0, 0.0, np.sign(gap) * np.inf))
        ratio = columns["variance_1"] / columns["variance_0"]
    return {
        f"untreated{suffix}": columns["mean_0"],
        f"treated{suffix}": columns["mean_1"],
        f"difference{suffix}": difference,
        f"variance_ratio{suffix}": ratio,
    }
