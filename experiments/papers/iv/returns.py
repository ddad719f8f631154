"""Textbook applications of instrumental variables: Card's returns to schooling, Mroz and others.

Nothing is random here. A cell is one specification of a data set. It is computed once, by the estimators that an
analyst calls. The claims compare every reported number with ours, to its printed digits.
"""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from causalrep.data import load
from causalrep.iv import AnchorRegression
from causalrep.plots import plot_intervals
from causalrep.study import Figure, Holds, Ordering, Study, Table, Within, grid, select
from experiments.papers.iv.printed import numbers_of, printed_digits
from experiments.papers.iv.specification import NONE, SETS, TESTS, Metrics, fuller_name, specification, with_instruments

BOTH = "nearc2+nearc4"
LEGEND = "95% intervals, Wald's with a dot, weak-instrument-robust without"
# Data set, controls and instruments of each cell.
SPECIFICATIONS = (
    ("mroz", NONE, NONE),
    ("mroz", NONE, "fatheduc"),
    ("mroz", "exper+expersq", NONE),
    ("mroz", "exper+expersq", "motheduc+fatheduc"),
    ("wage2", NONE, NONE),
    ("wage2", NONE, "sibs"),
    ("openness", "lpcinc", NONE),
    ("openness", "lpcinc", "lland"),
    ("bwght", NONE, NONE),
    ("bwght", NONE, "cigprice"),
)


@dataclasses.dataclass(frozen=True)
class Card:
    """Card (1995): log wage on schooling with college proximity as instrument, n = 3,010.

    Attributes:
        fullers: Fuller's constants.
        gammas: Penalties of anchor regression, which goes from OLS at 1 towards 2SLS.
    """

    fullers: tuple[float, ...] = (1.0, 4.0)
    gammas: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 100.0)

    def study(self) -> Study:
        """The study: a cell without instruments and one for each set of them."""
        anchors = tuple(anchor_name(gamma) for gamma in self.gammas)
        estimators = ("OLS", "2SLS", "LIML", *(fuller_name(a) for a in self.fullers), "GMM")
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
            Holds("nearc4: the AR set is wider than Wald's interval, and both exclude 0", _wider, "F = 13"),
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
                    "two-step, robust weights. n = 3,010; controls: experience, its square, black, urban, south, "
                    "1966 region.",
                ),
                intervals_table(
                    rows,
                    estimators,
                    ("low", "high"),
                    "Estimators: Wald intervals from se (GMM: from se_robust). AR: Anderson-Rubin, with F or chi2 "
                    "critical values; CLR: conditional likelihood ratio.",
                ),
                tests_table(rows),
                Table(
                    title="Standard errors clustered by 1966 region (9 groups)",
                    metric=("se_cluster", "se_cluster_debiased"),
                    rows=rows,
                    where={"method": ("OLS", "2SLS")},
                    unit=(),
                    decimals=5,
                    note="debiased: with the small-sample factor G/(G-1) (n-1)/(n-m). Nine groups are few clusters.",
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
    """Metrics of one set of instruments on Card's data. The random key is not used."""
    del key
    data = with_instruments(load("card"), setting["instruments"])
    regions = data.frame[[f"reg66{i}" for i in range(1, 10)]].idxmax(axis=1)
    metrics = specification(data, fullers=config.fullers, clusters=regions)
    if setting["instruments"] == BOTH:
        for gamma in config.gammas:
            fitted = AnchorRegression(gamma).fit(data.Y, data.T, X=data.X, Z=data.Z)
            metrics[anchor_name(gamma)] = {"coef": fitted.coef_[0], "kappa": fitted.kappa_}
    return metrics


@dataclasses.dataclass(frozen=True)
class Textbook:
    """Mroz (1987) and three more textbook applications, from strong instruments to irrelevant ones.

    Attributes:
        datasets: Data sets to analyze.
    """

    datasets: tuple[Literal["mroz", "wage2", "openness", "bwght"], ...] = ("mroz", "wage2", "openness", "bwght")

    def study(self) -> Study:
        """The study: a cell per data set, controls and instruments."""
        settings = [
            dict(zip(("dataset", "controls", "instruments"), row, strict=True))
            for row in SPECIFICATIONS
            if row[0] in self.datasets
        ]
        numbers = [n for n in numbers_of("iv/mroz") if n.where["dataset"] in self.datasets]
        rows = ("dataset", "controls", "instruments", "method")
        estimators = ("OLS", "2SLS", "LIML", "GMM")
        return Study(
            name="iv/mroz",
            replicate=textbook_cell,
            settings=settings,
            replications=1,
            compiled=False,
            claims=(*printed_digits(numbers), *self._claims()),
            tables=(
                Table(
                    title="Coefficient of the treatment",
                    metric=("coef", "se", "se_robust", "kappa"),
                    rows=rows,
                    where={"method": estimators},
                    unit=(),
                    decimals=7,
                    note="mroz, wage2: log wage on years of schooling. openness: inflation on the share of imports. "
                    "bwght: log birth weight on packs smoked per day. se: homoskedastic; se_robust: HC1.",
                ),
                intervals_table(
                    rows,
                    estimators,
                    ("low", "high", "unbounded"),
                    "unbounded = 1: the data do not bound the effect, although Wald's interval is finite.",
                ),
                tests_table(rows),
            ),
            figures=(Figure("intervals", draw_textbook, (9.0, 6.4)),),
        )

    def _claims(self) -> tuple[Ordering | Within, ...]:
        schooling = {"dataset": "mroz", "controls": "exper+expersq"}
        by_dataset = {
            "mroz": (
                Ordering(
                    metric="coef",
                    methods=("2SLS", "OLS"),
                    where=schooling,
                    unit=(),
                    name="mroz: 2SLS < OLS, as ability bias predicts",
                    source="textbook",
                ),
                Within(
                    metric="unbounded",
                    method="AR (F)",
                    where={"dataset": "mroz"},
                    low=0.0,
                    high=0.0,
                    unit=(),
                    name="mroz: the AR sets are bounded (F of 55 and 89)",
                    source="theory",
                ),
            ),
            "bwght": (
                *(
                    Within(
                        metric="unbounded",
                        method=method,
                        where={"dataset": "bwght"},
                        low=1.0,
                        high=1.0,
                        unit=(),
                        name=f"bwght: the {method} set is unbounded",
                        source="card, section 8, item 2",
                    )
                    for method in SETS
                ),
            ),
        }
        return tuple(claim for dataset, claims in by_dataset.items() if dataset in self.datasets for claim in claims)


def textbook_cell(key, setting: Mapping[str, Any]) -> Metrics:
    """Metrics of one specification of one data set. The random key is not used."""
    del key
    controls = () if setting["controls"] == NONE else setting["controls"].split("+")
    data = load(setting["dataset"]).with_roles(controls=controls)
    return specification(with_instruments(data, setting["instruments"]))


# ---------------------------------------------------------------- tables of both studies


def intervals_table(rows: tuple[str, ...], estimators: tuple[str, ...], metric: tuple[str, ...], note: str) -> Table:
    """Wald intervals and the sets that stay valid with weak instruments."""
    title = "95% intervals: Wald, and sets that stay valid with weak instruments"
    where = {"method": (*estimators, *SETS)}
    return Table(title=title, metric=metric, rows=rows, where=where, unit=(), decimals=4, note=note)


def tests_table(rows: tuple[str, ...]) -> Table:
    """Tests of the first stage, of overidentifying restrictions and of endogeneity."""
    title = "Instruments: strength, overidentification, endogeneity"
    return Table(title=title, metric=("statistic", "p_value"), rows=rows, where={"method": TESTS}, unit=(), decimals=4)


# ---------------------------------------------------------------- claims of these data alone


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


def anchor_name(gamma: float) -> str:
    """Name of anchor regression with penalty ``gamma`` in the records, such as ``Anchor(2)``."""
    return f"Anchor({gamma:g})"


# ---------------------------------------------------------------- figures


def draw_card(frame: pd.DataFrame, figure: Any) -> None:
    """A forest plot of OLS and, for each set of instruments, of Wald's intervals and the robust sets."""
    axes = figure.subplots()
    parameter = "return to a year of schooling (log points)"
    _forest(frame, axes, fields=("instruments",), parameter=parameter)
    figure.suptitle(f"Card's data: {LEGEND}")


def draw_textbook(frame: pd.DataFrame, figure: Any) -> None:
    """A forest plot per data set, each with its own axis, because the units differ."""
    figure.suptitle(f"Textbook data: {LEGEND}")
    datasets = list(dict.fromkeys(frame["dataset"]))
    for axes, dataset in zip(np.atleast_1d(figure.subplots(-(-len(datasets) // 2), 2)).flat, datasets, strict=False):
        _forest(select(frame, dataset=dataset), axes, fields=("controls", "instruments"), parameter="coefficient")
        axes.set_title(dataset)


def _forest(frame: pd.DataFrame, axes: Any, *, fields: tuple[str, ...], parameter: str) -> None:
    """Plots every interval of the records, one row per method and setting. The last field names the instruments."""
    sets, points = {}, {}
    for key, rows in select(frame, metric=("coef", "low", "high")).groupby([*fields, "method"], sort=False):
        values = dict(zip(rows["metric"], rows["value"], strict=True))
        if "low" not in values or key[-1] == "AR (chi2)":
            continue
        label = key[-1] if key[-2] == NONE else f"{key[-1]}, {key[-2]}"
        if key[:-2] not in ((), (NONE,)):
            label += " (controls)"
        sets[label] = (values["low"], values["high"])
        if "coef" in values:
            points[label] = values["coef"]
    plot_intervals(sets, estimates=points, reference=0.0, parameter=parameter, ax=axes)
