"""One specification of a linear model with instruments, as metrics: estimates, intervals, tests, robust sets."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from causalrep.data import IVTable
from causalrep.iv import (
    GMM,
    LIML,
    OLS,
    ConfidenceSet,
    Fuller,
    LinearIVEstimator,
    TwoStageLeastSquares,
    anderson_rubin_set,
    clr_set,
)

NONE = "none"
TESTS = (
    "First-stage F",
    "First-stage partial R2",
    "Effective F",
    "Sargan",
    "Basmann",
    "Hansen J",
    "Wu-Hausman",
)
SETS = ("AR (F)", "AR (chi2)", "CLR")

Metrics = dict[str, dict[str, float]]


def specification(data: IVTable, *, fullers: Iterable[float] = (), clusters: Any = None) -> Metrics:
    """Everything a reader wants of one specification: estimates, intervals, tests, robust sets.

    Without instruments it is OLS. Estimators that equal 2SLS when just identified appear only with more
    instruments than treatments.

    Args:
        data: The data and their roles; one treatment.
        fullers: Fuller's constants.
        clusters: Group labels (n,) for clustered standard errors, or None.
    """
    if not data.instruments:
        return {"OLS": estimates(OLS, data, clusters)}
    metrics = {"2SLS": estimates(TwoStageLeastSquares, data, clusters)}
    if len(data.instruments) > 1:
        metrics["LIML"] = estimates(LIML, data)
        metrics |= {fuller_name(a): estimates(partial(Fuller, a), data) for a in fullers}
        metrics["GMM"] = gmm_estimates(data)
    return metrics | tests(data) | robust_sets(data)


def estimates(make: Callable[..., LinearIVEstimator], data: IVTable, clusters: Any = None) -> dict[str, float]:
    """Coefficient of the treatment, its standard errors of every kind, and its Wald interval."""
    plain, robust = _fit(make(), data), _fit(make(covariance="HC1"), data)
    low, high = plain.ate_interval()
    found = {
        "coef": plain.coef_[0],
        "se": plain.stderr_[0],
        "se_robust": robust.stderr_[0],
        # HC1 is HC0 times n / (n - m), by definition: no third fit.
        "se_hc0": robust.stderr_[0] * np.sqrt(robust.dof_ / robust.n_obs_),
        "kappa": plain.kappa_,
        "low": low,
        "high": high,
    }
    if clusters is not None:
        for name, debiased in (("se_cluster", False), ("se_cluster_debiased", True)):
            fitted = _fit(make(covariance="cluster", debiased=debiased), data, clusters=clusters)
            found[name] = fitted.stderr_[0]
    return found


def gmm_estimates(data: IVTable) -> dict[str, float]:
    """Two-step GMM: its weights are robust, and so are its standard errors."""
    robust = _fit(GMM(covariance="HC1"), data)
    low, high = robust.ate_interval()
    hc0 = _fit(GMM(), data)
    return {
        "coef": hc0.coef_[0],
        "se_robust": robust.stderr_[0],
        "se_hc0": hc0.stderr_[0],
        "low": low,
        "high": high,
    }


def tests(data: IVTable) -> Metrics:
    """Strength of the first stage, overidentifying restrictions, endogeneity."""
    fitted = _fit(TwoStageLeastSquares(), data)
    effective = _fit(TwoStageLeastSquares(covariance="HC1"), data).first_stage().iloc[0]
    first = fitted.first_stage().iloc[0]
    k = len(data.instruments)
    explained = k * first["F"]
    found = {
        "First-stage F": {"statistic": first["F"], "p_value": first["p_value"]},
        "First-stage partial R2": {"statistic": explained / (explained + fitted.dof_ + 1 - k)},
        "Effective F": {"statistic": effective["effective_F"]},
    }
    table = fitted.diagnostics()
    for name in TESTS:
        if name in table.index:
            found[name] = {metric: table.loc[name, metric] for metric in ("statistic", "p_value")}
    return found


def robust_sets(data: IVTable) -> Metrics:
    """Anderson-Rubin and CLR sets of level 95%: their ends, infinite where the data do not bound the effect."""
    given = (data.Y, data.T, data.X)
    return {
        "AR (F)": _ends(anderson_rubin_set(*given, Z=data.Z)),
        "AR (chi2)": _ends(anderson_rubin_set(*given, Z=data.Z, distribution="chi2")),
        "CLR": _ends(clr_set(*given, Z=data.Z)),
    }


def _ends(accepted: ConfidenceSet) -> dict[str, float]:
    ends = [end for pair in accepted.intervals for end in pair]
    return {
        "low": min(ends, default=np.nan),
        "high": max(ends, default=np.nan),
        "pieces": len(accepted.intervals),
        "unbounded": float(not accepted.is_bounded),
    }


def _fit(estimator: LinearIVEstimator, data: IVTable, **options: Any) -> LinearIVEstimator:
    return estimator.fit(data.Y, data.T, X=data.X, Z=data.Z if data.instruments else None, **options)


def with_instruments(data: IVTable, instruments: str) -> IVTable:
    """The data with instruments named as ``"a+b"``, or ``"none"``."""
    return data.with_roles(instruments=() if instruments == NONE else instruments.split("+"))


def fuller_name(a: float) -> str:
    """``Fuller(1)``."""
    return f"Fuller({a:g})"
