"""Textbook applications of instrumental variables: Card's returns to schooling; Mroz and others.

Nothing is random here. A cell is a data set in one specification, computed once, through the façades that an
analyst uses; the claims compare every reported number with ours to its printed digits.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from causalrep.data import IVTable, load
from causalrep.iv import (
    GMM,
    LIML,
    OLS,
    AnchorRegression,
    ConfidenceSet,
    Fuller,
    LinearIVEstimator,
    TwoStageLeastSquares,
    anderson_rubin_set,
    clr_set,
)
from causalrep.plots import plot_intervals
from causalrep.study import Figure, Holds, Ordering, ReportedNumber, Study, Table, Within, grid, load_reported, select

REPORTED = Path(__file__).resolve().parent.parent / "reported" / "iv.toml"
NONE = "none"
BOTH = "nearc2+nearc4"
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


@dataclasses.dataclass(frozen=True)
class Card:
    """Card (1995): log wage on schooling, college proximity as instrument, n = 3,010.

    Attributes:
        fullers: Fuller's constants.
        gammas: Penalties of anchor regression, from OLS at 1 towards 2SLS.
    """

    fullers: tuple[float, ...] = (1.0, 4.0)
    gammas: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 100.0)

    def study(self) -> Study:
        """The study: one cell without instruments, one with each set of them."""
        anchors = tuple(_anchor(gamma) for gamma in self.gammas)
        estimators = ("OLS", "2SLS", "LIML", *(_fuller(a) for a in self.fullers), "GMM")
        computed = {*estimators, *anchors, *TESTS, *SETS}
        numbers = [n for n in numbers_of("iv/card") if n.where["method"] in computed]
        rows = ("method", "instruments")
        overidentified = {"instruments": BOTH}
        claims = (
            *printed_digits(numbers),
            Ordering(
                metric="coef",
                methods=("OLS", ("2SLS", {"instruments": "nearc4"}), ("2SLS", overidentified), "LIML"),
                unit=(),
                name="coef: OLS < 2SLS (nearc4) < 2SLS (both instruments) < LIML (both)",
                source="Card 1995; theory: LIML lies further from OLS than 2SLS",
            ),
            Within(metric="kappa", method="LIML", low=1.0, unit=(), source="theory"),
            Holds("both instruments: OLS < anchor regressions, rising with gamma, < 2SLS", _anchor_path, "theory"),
            Holds("nearc4: the AR set is wider than Wald's interval, and both exclude 0", _wider, "a first stage of F = 13"),
        )
        return Study(
            name="iv/card",
            replicate=partial(card_cell, config=self),
            settings=grid(instruments=[NONE, "nearc4", BOTH]),
            replications=1,
            compiled=False,
            claims=claims,
            tables=(
                Table(
                    title="Returns to a year of schooling: coefficients and standard errors",
                    metric=("coef", "se", "se_robust", "se_hc0", "kappa"),
                    rows=rows,
                    where={"method": estimators},
                    unit=(),
                    decimals=7,
                    note="se: homoskedastic; se_robust: HC1; se_hc0: HC0, without the small-sample factor. GMM: "
                    "two-step, robust weights. n = 3,010; controls: experience and its square, black, urban, south, 1966 region.",
                ),
                Table(
                    title="95% intervals: Wald, and sets that stay valid with weak instruments",
                    metric=("low", "high"),
                    rows=rows,
                    where={"method": (*estimators, *SETS)},
                    unit=(),
                    decimals=4,
                    note="Estimators: Wald intervals from se (GMM: from se_robust). AR: Anderson-Rubin, with F or chi2 "
                    "critical values; CLR: conditional likelihood ratio.",
                ),
                Table(
                    title="Instruments: strength, overidentification, endogeneity",
                    metric=("statistic", "p_value"),
                    rows=rows,
                    where={"method": TESTS},
                    unit=(),
                    decimals=4,
                ),
                Table(
                    title="Standard errors clustered by 1966 region (9 groups)",
                    metric=("se_cluster", "se_cluster_debiased"),
                    rows=rows,
                    where={"method": ("OLS", "2SLS")},
                    unit=(),
                    decimals=5,
                    note="debiased: with the small-sample factor G/(G-1) (n-1)/(n-m). Nine groups are few.",
                ),
                Table(
                    title="Anchor regression: from OLS (gamma = 1) towards 2SLS",
                    metric=("coef", "kappa"),
                    rows=rows,
                    where={"method": anchors},
                    unit=(),
                    decimals=6,
                ),
            ),
            figures=(Figure("intervals", draw_card, (8.0, 5.2)),),
        )


def card_cell(key, setting: Mapping[str, Any], *, config: Card) -> Metrics:
    """One choice of instruments on Card's data; ``key`` is not used."""
    del key
    data = _with_instruments(load("card"), setting["instruments"])
    regions = data.frame[[f"reg66{i}" for i in range(1, 10)]].idxmax(axis=1)
    metrics = specification(data, fullers=config.fullers, clusters=regions)
    if setting["instruments"] == BOTH:
        for gamma in config.gammas:
            fitted = AnchorRegression(gamma).fit(data.Y, data.T, X=data.X, Z=data.Z)
            metrics[_anchor(gamma)] = {"coef": fitted.coef_[0], "kappa": fitted.kappa_}
    return metrics


# ---------------------------------------------------------------- one specification, any data set


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
        metrics |= {_fuller(a): estimates(partial(Fuller, a), data) for a in fullers}
        metrics["GMM"] = gmm_estimates(data)
    return metrics | tests(data) | robust_sets(data)


def estimates(make: Callable[..., LinearIVEstimator], data: IVTable, clusters: Any = None) -> dict[str, float]:
    """Coefficient of the treatment, its standard errors of every kind, and its Wald interval."""
    plain = _fit(make(), data)
    low, high = plain.ate_interval()
    found = {
        "coef": plain.coef_[0],
        "se": plain.stderr_[0],
        "se_robust": _fit(make(covariance="HC1"), data).stderr_[0],
        "se_hc0": _fit(make(covariance="HC0"), data).stderr_[0],
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
    fitted = _fit(TwoStageLeastSquares(), data)
    design = fitted.design_
    arrays = (design.y, design.x, design.z, design.c)
    return {
        "AR (F)": _ends(anderson_rubin_set(*arrays)),
        "AR (chi2)": _ends(anderson_rubin_set(*arrays, distribution="chi2")),
        "CLR": _ends(clr_set(*arrays)),
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


def _with_instruments(data: IVTable, instruments: str) -> IVTable:
    return data.with_roles(instruments=() if instruments == NONE else instruments.split("+"))


def _fuller(a: float) -> str:
    return f"Fuller({a:g})"


def _anchor(gamma: float) -> str:
    return f"Anchor({gamma:g})"


# ---------------------------------------------------------------- reported numbers as claims


def numbers_of(experiment: str) -> list[ReportedNumber]:
    """The reported numbers of one of this folder's experiments."""
    return [number for number in load_reported(REPORTED) if number.experiment == experiment]


def printed_digits(numbers: Iterable[ReportedNumber]) -> tuple[Holds, ...]:
    """A claim per source and metric: ours equals every reported number.

    To the printed digits, except that coefficients and standard errors printed to more than six and five
    decimals are compared to 1e-6 and 1e-5.
    """
    groups: dict[tuple[str, str], list[ReportedNumber]] = {}
    for number in numbers:
        groups.setdefault((number.source, number.metric), []).append(number)
    return tuple(
        Holds(f"{metric}: every value of {source}, {_tolerated(group)}", partial(_agree, group))
        for (source, metric), group in groups.items()
    )


def tolerance(number: ReportedNumber) -> float:
    """How far ours may be from a reported number."""
    floor = 1e-6 if number.metric == "coef" else 1e-5 if number.metric.startswith("se") else 0.0
    return max(floor, half_unit(number.value))


def _tolerated(group: list[ReportedNumber]) -> str:
    widths = {tolerance(number) for number in group}
    exceeds = any(tolerance(number) > half_unit(number.value) for number in group)
    return f"within {min(widths):g}" if exceeds and len(widths) == 1 else "to its printed digits"


def half_unit(value: float) -> float:
    """Half a unit of the last digit of a number as printed.

    >>> half_unit(0.132), half_unit(13.2558), half_unit(46.0)
    (0.0005, 5e-05, 0.5)
    """
    text = f"{value:.12g}"
    return 0.5 * 10.0 ** -len(text.partition(".")[2])


def _agree(numbers: list[ReportedNumber], frame: pd.DataFrame) -> tuple[bool, str]:
    wrong, gaps = [], []
    for number in numbers:
        values = select(frame, number.where, metric=number.metric)["value"].tolist()
        label = ", ".join(map(str, number.where.values()))
        if len(values) != 1:
            wrong.append(f"{label}: {len(values)} records")
            continue
        gaps.append(abs(values[0] - number.value))
        # The slack is for the float that stands for the printed decimal, nothing else. NaN is not close.
        if not gaps[-1] <= tolerance(number) * (1 + 1e-6):
            wrong.append(f"{label}: ours {values[0]:.8g}, reported {number.value:.12g}")
    if wrong:
        return False, f"{len(wrong)} of {len(numbers)} differ: {'; '.join(wrong)}"
    return True, f"{len(numbers)} compared, largest distance {max(gaps):.1g}"


def _value(frame: pd.DataFrame, method: str, metric: str, **where: Any) -> float:
    (value,) = select(frame, where, method=method, metric=metric)["value"]
    return float(value)


def _anchor_path(frame: pd.DataFrame) -> tuple[bool, str]:
    anchors = select(frame, metric="coef")
    anchors = anchors[anchors["method"].str.startswith("Anchor(")]
    gammas = anchors["method"].str.slice(7, -1).astype(float).to_numpy()
    path = anchors["value"].to_numpy()[np.argsort(gammas)]
    low, high = _value(frame, "OLS", "coef"), _value(frame, "2SLS", "coef", instruments=BOTH)
    inside = low - 1e-10 <= path.min() and path.max() < high
    detail = f"OLS {low:.6f}, anchors {path.round(6).tolist()}, 2SLS {high:.6f}"
    return bool(inside and (np.diff(path) > 0).all()), detail


def _wider(frame: pd.DataFrame) -> tuple[bool, str]:
    ends = {m: [_value(frame, m, e, instruments="nearc4") for e in ("low", "high")] for m in ("2SLS", "AR (F)")}
    wald, ar = ends["2SLS"], ends["AR (F)"]
    wider = ar[1] - ar[0] > wald[1] - wald[0] and min(ar[0], wald[0]) > 0
    return bool(wider), f"Wald [{wald[0]:.4f}, {wald[1]:.4f}], AR [{ar[0]:.4f}, {ar[1]:.4f}]"


# ---------------------------------------------------------------- figures


def draw_card(frame: pd.DataFrame, figure: Any) -> None:
    """A forest plot: OLS, and each instrument set's Wald intervals beside its robust sets."""
    forest(frame, figure, parameter="return to a year of schooling (log points)", by="instruments")


def forest(frame: pd.DataFrame, figure: Any, *, parameter: str, by: str) -> None:
    """Every interval of the records, one row a method and value of ``by``; anchors have none."""
    ends = select(frame, metric=("coef", "low", "high"))
    sets, points = {}, {}
    for (group, method), rows in ends.groupby([by, "method"], sort=False):
        values = dict(zip(rows["metric"], rows["value"], strict=True))
        if "low" not in values or method == "AR (chi2)":
            continue
        label = method if group == NONE else f"{method}, {group}"
        sets[label] = (values["low"], values["high"])
        if "coef" in values:
            points[label] = values["coef"]
    plot_intervals(sets, estimates=points, reference=0.0, parameter=parameter, ax=figure.subplots())
