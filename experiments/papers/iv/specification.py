"""Metrics of one specification of a linear IV model: estimates, intervals, tests and robust sets."""

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
    """Estimates, intervals, tests and robust sets of one specification; without instruments only OLS.

    LIML, Fuller and GMM equal 2SLS in a just-identified model, so they appear only with more than one instrument.

    Args:
        data: Data with their roles and one treatment.
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
    """Coefficient of the treatment, its standard errors of every kind and its Wald interval."""
    plain, robust = _fit(make(), data), _fit(make(covariance="HC1"), data)
    low, high = plain.ate_interval()
    by_name = {
        "coef": plain.coef_[0],
        "se": plain.stderr_[0],
        "se_robust": robust.stderr_[0],
        # The HC1 covariance is by definition HC0 times n / (n - m), which saves a third fit.
        "se_hc0": robust.stderr_[0] * np.sqrt(robust.dof_ / robust.n_obs_),
        "kappa": plain.kappa_,
        "low": low,
        "high": high,
    }
    if clusters is not None:
        for name, debiased in (("se_cluster", False), ("se_cluster_debiased", True)):
            fitted = _fit(make(covariance="cluster", debiased=debiased), data, clusters=clusters)
            by_name[name] = fitted.stderr_[0]
    return by_name


def gmm_estimates(data: IVTable) -> dict[str, float]:
    """Estimate, standard errors and interval of two-step GMM, all robust to heteroskedasticity."""
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
    """Tests of the first stage, of overidentifying restrictions and of endogeneity."""
    fitted = _fit(TwoStageLeastSquares(), data)
    effective = _fit(TwoStageLeastSquares(covariance="HC1"), data).first_stage().iloc[0]
    first = fitted.first_stage().iloc[0]
    k = len(data.instruments)
    # Partial R2 from F = (R2 / k) / ((1 - R2) / residual degrees of freedom of the first stage).
    explained = k * first["F"]
    by_name = {
        "First-stage F": {"statistic": first["F"], "p_value": first["p_value"]},
        "First-stage partial R2": {"statistic": explained / (explained + fitted.dof_ + 1 - k)},
        "Effective F": {"statistic": effective["effective_F"]},
    }
    table = fitted.diagnostics()
    for name in TESTS:
        if name in table.index:
            by_name[name] = {metric: table.loc[name, metric] for metric in ("statistic", "p_value")}
    return by_name


def robust_sets(data: IVTable) -> Metrics:
    """Ends of the 95% Anderson-Rubin and CLR sets, infinite where the data do not bound the effect."""
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
    """The data with the instruments of a setting: names joined by ``+``, or ``"none"``."""
    return data.with_roles(instruments=() if instruments == NONE else instruments.split("+"))


def fuller_name(a: float) -> str:
    """Name of Fuller's estimator with constant ``a`` in the records, such as ``Fuller(1)``."""
    return f"Fuller({a:g})"
