"""Coverage of intervals for individual effects on new units: the bootstrap's, and the conformal ones."""

import dataclasses
from functools import lru_cache, partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from causalrep.base.validation import check_range
from causalrep.data import EffectBenchmark, load
from causalrep.effects import KernelRidge, Logistic, Ridge, meta
from causalrep.effects.intervals import bootstrap_effects, conformal_effects
from causalrep.inference.crossfit import stratified_folds
from causalrep.keys import derive
from causalrep.metrics import coverage
from causalrep.study import Study, Table, Within
from experiments.papers.cate.coverage import draw
from experiments.papers.cate.methods import FOLDS, traced

LEVEL, QUANTILE = 0.95, 1.959964
# Wide enough for the simulation error of a mean over a few dozen samples; a conformal interval may cover more.
CONFORMAL_LOW = 0.93


@dataclasses.dataclass(frozen=True)
class Intervals:
    """Intervals of level 95% at units that no model was fitted to.

    Attributes:
        datasets: "linear" is the simulation of cate/coverage, where a ridge regression is right.
        simulations: Samples of each data set; ACIC 2016 has ten files at most.
        draws: Number of bootstrap samples.
        kernel: Also kernel ridge, on IHDP.
        seed: Random seed.
    """

    datasets: tuple[Literal["linear", "ihdp", "acic2016"], ...] = ("linear", "ihdp", "acic2016")
    simulations: int = 50
    draws: int = 100
    kernel: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("simulations", self.simulations, at_least=1, at_most=1000)
        check_range("draws", self.draws, at_least=2)

    def study(self) -> Study:
        """The study: one cell per sample of a data set."""
        settings = [
            {"dataset": dataset, "simulation": number}
            for dataset in self.datasets
            for number in range(1, min(self.simulations, 10 if dataset == "acic2016" else 1000) + 1)
        ]
        return Study(
            name="cate/intervals",
            replicate=partial(replicate, config=self),
            settings=settings,
            replications=1,
            seed=self.seed,
            traced=("simulation",),
            claims=self._claims(),
            tables=(
                Table(
                    title="Coverage and width of 95% intervals for individual effects of new units",
                    metric=("coverage", "median_width", "infinite"),
                    rows=("dataset", "method"),
                    unit=("simulation",),
                    note="Bootstrap: of the expected effect tau(x). Conformal: of the unit's own effect Y(1) - Y(0). "
                    "infinite: share of units whose interval is the whole line, for want of comparable units.",
                ),
            ),
        )

    def _claims(self):
        claims = [
            Within(
                metric="coverage",
                method="Conformal, ridge",
                low=CONFORMAL_LOW,
                where={"dataset": dataset},
                unit=("simulation",),
                min_replications=10,
                source="Lei and Candès (2021), Theorem 1",
            )
            for dataset in self.datasets
        ]
        if "linear" in self.datasets:
            claims.append(
                Within(
                    metric="coverage",
                    method="Bootstrap, ridge T",
                    low=0.90,
                    high=0.97,
                    where={"dataset": "linear"},
                    unit=("simulation",),
                    min_replications=10,
                    source="the model is right and hardly penalized",
                )
            )
        if "ihdp" in self.datasets:
            claims.append(
                Within(
                    metric="coverage",
                    method="Bootstrap, ridge T",
                    high=0.90,
                    where={"dataset": "ihdp"},
                    unit=("simulation",),
                    min_replications=10,
                    source="negative control: the surface is not linear, and the bootstrap does not know",
                )
            )
        return tuple(claims)


def replicate(key, setting, *, config: Intervals):
    """All intervals on one sample."""
    dataset = setting["dataset"]
    data_key, fold_key, interval_key = jax.random.split(key, 3)
    if dataset == "linear":
        x, t, y, tau = draw(data_key, 1000)
        # The unobserved potential outcome has its own noise; draw() has already split data_key for the observed one.
        noise = jax.random.normal(derive(data_key, "unobserved outcome"), y.shape)
        individual = tau + jnp.where(t == 1, 1.0, -1.0) * (y - _mean(x, t, tau) - noise)
        test = (jnp.arange(len(y)) < 200).astype(y.dtype)
    else:
        data, test_sets = _data(dataset, config.simulations)
        index = setting["simulation"] - 1
        x, t, *simulated = traced(data.x, data.t, data.y, data.mu0, data.mu1, data.y0, data.y1, test_sets)
        y, mu0, mu1, y0, y1, test = (array[index] for array in simulated)
        t = t[index] if t.ndim == 2 else t
        tau, individual = mu1 - mu0, y1 - y0
    rows = meta.EffectRows(x, x, t, y, 1.0 - test, stratified_folds(fold_key, t, FOLDS))
    models = {"ridge": Ridge()} | ({"kernel ridge": KernelRidge()} if config.kernel and dataset == "ihdp" else {})
    metrics = {}
    for name, outcome in models.items():
        low, high = conformal_effects(interval_key, outcome, Logistic(), rows, x, 1 - LEVEL)
        metrics[f"Conformal, {name}"] = _scores(low, high, individual, test)
    learner = meta.T()
    center = learner.predict(learner.fit(rows), x)
    half = QUANTILE * jnp.std(bootstrap_effects(interval_key, learner, rows, x, config.draws), axis=0, ddof=1)
    metrics["Bootstrap, ridge T"] = _scores(center - half, center + half, tau, test)
    return metrics


def _scores(low, high, truth, test):
    # The median: where a unit's own weight is too large for the level, a conformal interval is infinite.
    width = jnp.nanmedian(jnp.where(test > 0, high - low, jnp.nan))
    infinite = jnp.sum(test * jnp.isinf(high - low)) / jnp.sum(test)
    return {"coverage": coverage(low, high, truth, test), "median_width": width, "infinite": infinite}


def _mean(x, t, tau):
    return x[:, 0] + 0.5 * x[:, 1] - 0.25 * x[:, 2] + tau * t


@lru_cache(maxsize=2)
def _data(dataset: str, simulations: int) -> tuple[EffectBenchmark, np.ndarray]:
    if dataset == "ihdp":
        data = load("ihdp", replications=range(1, simulations + 1))
        return data, np.stack([data.is_test(i).astype(float) for i in range(simulations)])
    data = load("acic2016")
    # No canonical split: a tenth of the units, drawn once per file.
    rng = np.random.default_rng(2016)
    return data, np.stack([(rng.permutation(data.x.shape[0]) < data.x.shape[0] // 10).astype(float) for _ in range(10)])
