"""Overlap: are there comparable units in both arms, and what is the effective sample size after weighting?"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from causalrep.base.validation import as_vector, check_index_alignment, check_range
from causalrep.effects.design import check_treatment
from causalrep.errors import InputError, OverlapWarning

# Arms count as separated if the propensity orders more than this share of the pairs of treated and untreated rows.
SEPARATED = 0.999


@dataclass(frozen=True)
class OverlapReport:
    """Overlap of the treatment arms.

    Attributes:
        propensity: Estimated propensities (n,).
        treated: Whether each row was treated (n,).
        arms: One row per arm: number of rows, smallest, median and largest propensity, effective sample size when
            weighted to the whole population (``ess_ate``) and to the treated (``ess_att``).
        trimming: The threshold of Crump et al. (2009): dropping units with a propensity outside
            ``[trimming, 1 - trimming]`` minimizes the variance of the average effect over the units that remain.
        kept: Whether each row remains after trimming (n,).
    """

    propensity: np.ndarray
    treated: np.ndarray
    arms: pd.DataFrame
    trimming: float
    kept: np.ndarray

    def __str__(self) -> str:
        dropped = int((~self.kept).sum())
        return (
            f"{self.arms.to_string(float_format='{:.4g}'.format)}\n"
            f"Trimming to [{self.trimming:.3g}, {1 - self.trimming:.3g}] drops {dropped} of {len(self.kept)} rows."
        )


def overlap_report(propensity: np.ndarray, treated: np.ndarray) -> OverlapReport:
    """Propensities by arm, effective sample sizes and a trimming rule.

    Args:
        propensity: Estimated propensities (n,).
        treated: Treatment, 0 or 1 (n,).

    Raises:
        InputError: If a propensity is not in [0, 1], an arm is empty, or pandas indexes differ.

    >>> report = overlap_report([0.2, 0.4, 0.6, 0.8], [0, 1, 0, 1])
    >>> report.arms["rows"].tolist()
    [2.0, 2.0]
    """
    check_index_alignment(propensity=propensity, treated=treated)
    e = _as_propensity(propensity)
    t, _ = as_vector("treated", treated, rows=len(e))
    check_treatment(t, argument="treated")
    inside = np.clip(e, 1e-12, 1 - 1e-12)
    rows = {}
    for name, arm, to_all, to_treated in (
        ("untreated", t == 0, 1 / (1 - inside), inside / (1 - inside)),
        ("treated", t == 1, 1 / inside, np.ones_like(e)),
    ):
        rows[name] = {
            "rows": int(arm.sum()),
            "min": e[arm].min(),
            "median": np.median(e[arm]),
            "max": e[arm].max(),
            "ess_ate": effective_sample_size(to_all[arm]),
            "ess_att": effective_sample_size(to_treated[arm]),
        }
    threshold = crump_threshold(e)
    kept = (e >= threshold) & (e <= 1 - threshold)
    return OverlapReport(e, t == 1, pd.DataFrame(rows).T, threshold, kept)


def effective_sample_size(weights: np.ndarray) -> float:
    """Kish's ``(sum w)^2 / sum w^2``: how many equally weighted rows have the same variance.

    Raises:
        InputError: If weights are missing, negative or all zero.

    >>> effective_sample_size(np.array([1.0, 1.0, 0.0]))
    2.0
    """
    w, _ = as_vector("weights", weights)
    if (w < 0).any() or not w.any():
        found = "negative values" if (w < 0).any() else "zeros only"
        raise InputError("weights", found=found, expected="weights of at least 0, some of them positive")
    # Squares of tiny or huge weights would vanish or overflow.
    shares = w / w.max()
    return float(np.sum(shares) ** 2 / np.sum(shares**2))


def crump_threshold(propensity: np.ndarray) -> float:
    """The trimming threshold of Crump, Hotz, Imbens and Mitnik (2009), 0 if no trimming is best.

    With ``g = 1 / (e (1 - e))``, keep the units with ``g <= gamma``, where ``gamma = 2 E[g | g <= gamma]`` (their
    equation 9 for constant outcome variance); the threshold on the propensity is ``1/2 - sqrt(1/4 - 1/gamma)``.

    >>> crump_threshold(np.full(10, 0.5))
    0.0
    """
    e = np.clip(_as_propensity(propensity), 1e-12, 1 - 1e-12)
    g = np.sort(1 / (e * (1 - e)))
    means = np.cumsum(g) / np.arange(1, len(g) + 1)
    if g[-1] <= 2 * means[-1]:
        return 0.0
    # The largest value of g that is at most twice the mean of the values up to it.
    gamma = 2 * means[np.nonzero(g <= 2 * means)[0][-1]]
    return float(0.5 - np.sqrt(0.25 - 1 / gamma))


def trim(propensity: np.ndarray, threshold: float = 0.1) -> np.ndarray:
    """Rows with a propensity inside ``[threshold, 1 - threshold]``, as booleans (n,); 0.1 is Crump's rule of thumb.

    Raises:
        InputError: If a propensity is not in [0, 1], or the threshold not in [0, 0.5).

    >>> trim([0.05, 0.5]).tolist()
    [False, True]
    """
    threshold = check_range("threshold", threshold, at_least=0, below=0.5)
    e = _as_propensity(propensity)
    return (e >= threshold) & (e <= 1 - threshold)


def _as_propensity(propensity: Any) -> np.ndarray:
    e, _ = as_vector("propensity", propensity)
    if ((e < 0) | (e > 1)).any():
        raise InputError("propensity", found=f"values from {e.min():.3g} to {e.max():.3g}", expected="values in [0, 1]")
    return e


def check_overlap(e: np.ndarray, t: np.ndarray, clip: float, *, consequence: str = "and were clipped") -> None:
    """Warn with the share of propensities outside ``[clip, 1 - clip]``; refuse arms that the covariates separate.

    Args:
        e: Estimated propensities (n,).
        t: Treatment, 0 or 1 (n,).
        clip: Where extreme propensities begin.
        consequence: What the estimator does with them, for the warning.
    """
    outside = (e < clip) | (e > 1 - clip)
    ranks, treated = stats.rankdata(e), t == 1
    n1, n0 = treated.sum(), (~treated).sum()
    # The area under the ROC curve, from the rank sum of the treated (Mann and Whitney): it is 1 if the arms are
    # separated, and a little less with cross-fitting, since the models differ between folds.
    ordered = (ranks[treated].sum() - n1 * (n1 + 1) / 2) / (n1 * n0)
    if outside.all() or ordered > SEPARATED:
        raise InputError(
            "T",
            found="no overlap: the covariates separate treated from untreated "
            f"(a treated row has the higher propensity in {100 * ordered:.4g}% of all pairs)",
            expected="covariates at which both treatments occur (drop those that determine the treatment, or the rows "
            "for which there is no comparison)",
        )
    if outside.any():
        # The level is that of the user's call: check_overlap, an estimation function, _estimate or _fit, _fit, fit.
        warnings.warn(
            f"{outside.sum():,} of {len(outside):,} rows ({100 * outside.mean():.2g}%) have an estimated propensity "
            f"outside [{clip:g}, {1 - clip:g}] {consequence}: they have hardly any comparable rows in the other arm. "
            "See overlap(), and consider trimming.",
            OverlapWarning,
            stacklevel=5,
        )
