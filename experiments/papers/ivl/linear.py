"""Linear simulations of the IVL paper: Figures 4a-c (acyclic), 6 (cyclic) and 7 (partial null space)."""

import dataclasses
from functools import partial

import jax
import numpy as np
import pandas as pd

from causalrep.base.validation import check_range
from causalrep.data import Augmented, draw_linear, sample_linear_sem
from causalrep.iv.ivl.path import ivl
from causalrep.iv.ivl.population import treatment_covariance
from causalrep.metrics import causal_excess_risk, normalized_excess_risk
from causalrep.study import Curves, Holds, Monotone, Ordering, Ratio, Study, Table, Within
from experiments.papers.ivl.methods import FIGURE_METHODS, SELECTED, fit_all

LOWEST_ALPHA = 1e-4
AT_ALPHA = "DA+IVL (alpha)"
# Where the published curves were read off, log10.
PUBLISHED_LOG_ALPHA = (-5.0, -3.75, -2.92, -2.08, -1.67, -1.25, -0.83, -0.42, 0.0, 0.83, 1.67, 2.5, 5.0)
PUBLISHED_LOG_GAMMA = (-2.5, -1.77, -1.04, -0.46, -0.02, 0.42, 1.0)


@dataclasses.dataclass(frozen=True)
class LinearSimulation:
    """Sweeps of confounding (kappa), penalty (alpha) and augmentation strength (gamma) over random linear models.

    Attributes:
        name: Name of the study and config, one per figure of the paper.
        simulations: Number of structural models, the same at every point of every sweep (paper: 32).
        points: Grid points per sweep (paper: 25).
        samples: Rows per model (paper: 2048).
        treatments: Dimension m of X (paper: 32).
        confounders: Dimension of C (paper: 32).
        sigma: Standard deviation of the noise (paper: 0.1).
        cyclic: Draw f and the feedback tau uniformly from the unit sphere (Figure 6).
        keep: Probability with which a basis vector of null(f) is an augmentation direction (Figure 7: 2/3).
        seed: Random seed.
    """

    name: str = "ivl/linear_simulation"
    simulations: int = 32
    points: int = 25
    samples: int = 2048
    treatments: int = 32
    confounders: int = 32
    sigma: float = 0.1
    cyclic: bool = False
    keep: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("simulations", self.simulations, at_least=1)
        check_range("points", self.points, at_least=2)
        check_range("treatments", self.treatments, at_least=2)
        check_range("confounders", self.confounders, at_least=1)
        check_range("samples", self.samples, at_least=2 * self.treatments)
        check_range("sigma", self.sigma, above=0)
        check_range("keep", self.keep, above=0, at_most=1)

    def study(self) -> Study:
        """The study: three sweeps as cells, structural models as replications."""
        kappas = _rounded(np.linspace(0.0, 1.0, self.points))
        alphas = _rounded(np.logspace(-5.0, 5.0, self.points))
        gammas = _rounded(np.logspace(-2.5, 1.0, self.points))
        settings = [{"sweep": "kappa", "kappa": kappa, "alpha": 1.0, "gamma": 1.0} for kappa in kappas]
        settings += [{"sweep": "alpha", "kappa": 1.0, "alpha": alpha, "gamma": 1.0} for alpha in alphas]
        settings += [{"sweep": "gamma", "kappa": 1.0, "alpha": 1.0, "gamma": gamma} for gamma in gammas]
        return Study(
            name=self.name,
            replicate=partial(replicate, config=self),
            settings=settings,
            replications=self.simulations,
            seed=self.seed,
            precision="auto",
            traced=("kappa", "alpha", "gamma"),
            labels=("sweep",),
            shared=("sweep", "kappa", "alpha", "gamma"),
            claims=claims(self, alphas, gammas),
            tables=tables(self, kappas, alphas, gammas),
            figures=figures(self),
        )


def replicate(key, setting, *, config: LinearSimulation):
    """One structural model at one point of a sweep: the error of every method."""
    sem_key, data_key, fit_key = jax.random.split(key, 3)
    sem = sample_linear_sem(
        sem_key,
        treatments=config.treatments,
        confounders=config.confounders,
        cyclic=config.cyclic,
        keep=config.keep,
    )
    kappa, gamma = setting["kappa"], setting["gamma"]
    sample = draw_linear(data_key, sem, n=config.samples, kappa=kappa, gamma=gamma, sigma=config.sigma)
    augmented = Augmented(sample.gx, sample.g)
    estimates, alphas, path = fit_all(fit_key, sample.y, sample.x, augmented, lowest=LOWEST_ALPHA)
    estimates[AT_ALPHA] = ivl(path, setting["alpha"])
    covariance = treatment_covariance(sem, kappa=kappa, sigma=config.sigma)
    metrics = {
        method: {
            "ncer": normalized_excess_risk(h, sem.f),
            "cer_sigma": causal_excess_risk(h, sem.f, covariance),
        }
        for method, h in estimates.items()
    }
    for method, alpha in alphas.items():
        metrics[method]["alpha_selected"] = alpha
    return metrics


def claims(config: LinearSimulation, alphas: list[float], gammas: list[float]):
    """The claims of a reproduction (paper card, section 9, items 1-4)."""
    full = {"sweep": "kappa", "kappa": 1.0}
    clean = {"sweep": "kappa", "kappa": 0.0}
    common = [
        Ordering(
            metric="ncer",
            methods=("DA+IVL-CC", "DA+IVL-CV", "DA+ERM", "ERM"),
            where=full,
            min_replications=16,
            source="Figure 4a at kappa = 1",
        ),
        *(
            Within(metric="ncer", method=method, high=1e-3, where=clean, source="Figure 4a at kappa = 0")
            for method in FIGURE_METHODS
            if method != "DA+IV"
        ),
        Monotone(metric="ncer", method="DA+ERM", along="gamma", direction="decreasing", where={"sweep": "gamma"}),
        Monotone(metric="ncer", method="DA+IVL-CV", along="gamma", direction="decreasing", where={"sweep": "gamma"}),
        Holds("alpha sweep: the right end is DA+ERM to 3 decimals", _plateau, "Figure 4b"),
    ]
    if config.cyclic or config.keep < 1.0:
        return tuple(common)
    lowest, weakest, strongest = alphas[0], [g for g in gammas if g <= 10**-2.3], gammas[-1]
    return (
        *common,
        Within(
            metric="ncer",
            method="ERM",
            low=0.36,
            high=0.55,
            where=full,
            min_replications=16,
            source="Figure 4a",
        ),
        Ratio(metric="ncer", numerator="DA+ERM", denominator="ERM", low=0.13, high=0.22, where=full),
        Ratio(metric="ncer", numerator="DA+IVL-CV", denominator="DA+ERM", low=0.45, high=0.65, where=full),
        Holds("alpha sweep: least between 10^-2.5 and 10^-1.5, at .010-.016", _alpha_minimum, "Figure 4b"),
        Within(metric="ncer", method=AT_ALPHA, low=0.03, high=0.05, where={"sweep": "alpha", "alpha": lowest}),
        Holds("alpha sweep: the left end is over twice the minimum", _left_end, "Figure 4b"),
        *(
            Holds(
                f"gamma sweep: {method} within .02 of ERM for gamma <= 10^-2.3",
                partial(_near, method, weakest),
            )
            for method in ("DA+ERM", "DA+IVL-CV")
        ),
        Holds("gamma sweep: DA+ERM and DA+IVL-CV within .002 at gamma = 10", partial(_close_at_end, strongest)),
        Holds("gamma sweep: largest relative gap DA+ERM to DA+IVL-CV for gamma in [.3, 3]", _largest_gap),
        Holds(
            "gamma sweep: DA+IV least inside (10^-1, 10^.5) and within .02 of .5 at gamma = 10",
            _dip,
            "Figure 4c",
        ),
    )


def tables(config: LinearSimulation, kappas: list[float], alphas: list[float], gammas: list[float]):
    """Each sweep at the points of the published curves, or at a few of them."""
    methods = list(FIGURE_METHODS)
    return (
        Table(
            title="nCER against confounding kappa",
            metric="ncer",
            columns="kappa",
            where={"sweep": "kappa", "kappa": _spread(kappas, 5), "method": [*methods, "DA+IV (2-bin G)"]},
        ),
        Table(
            title="nCER of DA+IVL against the penalty alpha",
            metric="ncer",
            rows=("method", "alpha"),
            where={"sweep": "alpha", "method": AT_ALPHA, "alpha": _nearest(alphas, PUBLISHED_LOG_ALPHA)},
        ),
        Table(
            title="nCER against augmentation strength gamma",
            metric="ncer",
            columns="gamma",
            where={
                "sweep": "gamma",
                "gamma": _nearest(gammas, PUBLISHED_LOG_GAMMA),
                "method": [*methods, "DA+IV (2-bin G)"],
            },
        ),
        Table(
            title="Penalty alpha selected at kappa = gamma = 1",
            metric="alpha_selected",
            where={"sweep": "kappa", "kappa": 1.0, "method": list(SELECTED)},
        ),
    )


def figures(config: LinearSimulation):
    """Figures 4a-c (or their counterparts in Figures 6 and 7)."""
    kind = "cyclic" if config.cyclic else "partial null space" if config.keep < 1.0 else "linear simulation"
    common = {"metric": "ncer", "ylabel": "nCER (mean ± 2 SE)", "hline": 0.5}
    return (
        Curves(
            x="kappa",
            methods=FIGURE_METHODS,
            where={"sweep": "kappa"},
            title=f"Confounding strength, {kind}",
            xlabel="confounding strength κ",
            **common,
        ),
        Curves(
            x="alpha",
            methods=("ERM", "DA+ERM", "DA+IVL-CV", "DA+IVL-CC", "DA+IV", AT_ALPHA),
            where={"sweep": "alpha"},
            title=f"Penalty, {kind}",
            xlabel="penalty α",
            xscale="log",
            yscale="log",
            vlines=_selected_alphas,
            **{**common, "hline": None},
        ),
        Curves(
            x="gamma",
            methods=FIGURE_METHODS,
            where={"sweep": "gamma"},
            title=f"Augmentation strength, {kind}",
            xlabel="augmentation strength γ",
            xscale="log",
            **common,
        ),
    )


def _means(frame: pd.DataFrame, sweep: str, method: str) -> pd.Series:
    rows = frame[(frame["sweep"] == sweep) & (frame["method"] == method) & (frame["metric"] == "ncer")]
    return rows.groupby(sweep)["value"].mean()


def _selected_alphas(frame: pd.DataFrame) -> dict[str, float]:
    rows = frame[(frame["sweep"] == "kappa") & (frame["kappa"] == 1.0) & (frame["metric"] == "alpha_selected")]
    means = rows.groupby("method")["value"].mean()
    return {"mean α by CV": means["DA+IVL-CV"], "by CC": means["DA+IVL-CC"]}


def _plateau(frame: pd.DataFrame):
    right, plain = _means(frame, "alpha", AT_ALPHA).iloc[-1], _means(frame, "alpha", "DA+ERM").iloc[-1]
    return abs(right - plain) < 5e-4, f"{right:.5f} against {plain:.5f}"


def _alpha_minimum(frame: pd.DataFrame):
    curve = _means(frame, "alpha", AT_ALPHA)
    at, least = float(curve.idxmin()), float(curve.min())
    return 10**-2.5 <= at <= 10**-1.5 and 0.010 <= least <= 0.016, f"least {least:.4f} at alpha = {at:.4g}"


def _left_end(frame: pd.DataFrame):
    curve = _means(frame, "alpha", AT_ALPHA)
    return curve.iloc[0] > 2 * curve.min(), f"{curve.iloc[0]:.4f} at the left end, {curve.min():.4f} at the minimum"


def _near(method: str, weakest: list[float], frame: pd.DataFrame):
    gap = (_means(frame, "gamma", method) - _means(frame, "gamma", "ERM")).loc[weakest].abs().max()
    return gap < 0.02, f"largest distance {gap:.4f}"


def _close_at_end(strongest: float, frame: pd.DataFrame):
    gap = abs(_means(frame, "gamma", "DA+ERM")[strongest] - _means(frame, "gamma", "DA+IVL-CV")[strongest])
    return gap < 0.002, f"distance {gap:.5f}"


def _largest_gap(frame: pd.DataFrame):
    relative = 1.0 - _means(frame, "gamma", "DA+IVL-CV") / _means(frame, "gamma", "DA+ERM")
    at = float(relative.idxmax())
    return 0.3 <= at <= 3.0, f"largest relative gap {relative.max():.3f} at gamma = {at:.4g}"


def _dip(frame: pd.DataFrame):
    curve = _means(frame, "gamma", "DA+IV")
    at, end = float(curve.idxmin()), float(curve.iloc[-1])
    return 0.1 < at < 10**0.5 and abs(end - 0.5) < 0.02, f"least {curve.min():.3f} at gamma = {at:.4g}; end {end:.3f}"


def _rounded(values: np.ndarray) -> list[float]:
    # Four digits, so that reported.toml can name a published point.
    return [float(f"{value:.4g}") for value in values]


def _spread(values: list[float], count: int) -> list[float]:
    return [values[i] for i in sorted(set(np.linspace(0, len(values) - 1, count).round().astype(int).tolist()))]


def _nearest(values: list[float], logs: tuple[float, ...]) -> list[float]:
    return sorted({min(values, key=lambda value: abs(np.log10(value) - log)) for log in logs})
