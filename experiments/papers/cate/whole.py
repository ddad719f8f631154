"""ACIC 2016 and Twins: all units are used to fit and to score, one data set per cell."""

import dataclasses
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Literal

import jax.numpy as jnp

from causalrep.data import EffectBenchmark, load
from causalrep.effects.meta import EffectRows
from causalrep.errors import InputError
from causalrep.inference.crossfit import stratified_folds
from causalrep.metrics import ate_error, pehe
from causalrep.study import Ordering, Study, Table, Within
from experiments.papers.cate.methods import FOLDS, LINEAR, METHODS, traced

# Estimated average effect and PEHE by file, from the card's section 6.
ACIC_ANCHORS: Mapping[str, tuple[tuple[float, float], ...]] = {
    "OLS-1": (
        (2.634, 4.009),
        (4.791, 0.112),
        (4.812, 0.061),
        (5.383, 5.052),
        (3.747, 4.548),
        (3.865, 2.283),
        (4.590, 5.040),
        (1.428, 3.225),
        (4.763, 2.443),
        (4.894, 6.772),
    ),
    "OLS-2": (
        (2.182, 1.699),
        (4.797, 0.906),
        (4.853, 0.569),
        (5.363, 3.464),
        (3.550, 2.740),
        (3.971, 2.481),
        (4.465, 4.253),
        (1.449, 3.175),
        (4.813, 1.809),
        (4.524, 5.072),
    ),
}
NAIVE = (3.582, 5.199, 6.099, 5.941, 4.108, 5.047, 4.301, 0.896, 5.591, 4.432)


@dataclasses.dataclass(frozen=True)
class WholeData:
    """Methods fitted to all units of ACIC 2016's files, or of Twins, and scored on them.

    Attributes:
        dataset: Which data.
        files: ACIC: files 1 to this number; Twins has one.
        methods: Names from experiments/papers/cate/methods.py.
        seed: Random seed of the folds for cross-fitting.
    """

    dataset: Literal["acic2016", "twins"] = "acic2016"
    files: int = 10
    methods: tuple[str, ...] = LINEAR
    seed: int = 0

    def __post_init__(self) -> None:
        most = 10 if self.dataset == "acic2016" else 1
        if not 1 <= self.files <= most:
            raise InputError("files", found=f"{self.files}", expected=f"1 to {most} for {self.dataset}")
        unknown = [method for method in self.methods if method not in METHODS]
        if unknown:
            raise InputError("methods", found=f"{unknown}", expected=f"names among {list(METHODS)}")

    def study(self) -> Study:
        """The study: one cell per file."""
        acic = self.dataset == "acic2016"
        metrics = ("ate", "ate_error", "pehe")
        note = "Each file is a draw of another process: the mean over files is an average over processes."
        mean = Table(title="Mean over files", metric=("ate_error", "pehe"), unit=("file",), note=note)
        single = Table(
            title="By file" if acic else "Twins",
            metric=metrics,
            rows=("file", "method"),
            unit=(),
            decimals=4,
            note="" if acic else TWINS_NOTE,
        )
        return Study(
            name=f"cate/{self.dataset}",
            replicate=partial(replicate, config=self),
            settings=[{"file": number} for number in range(1, self.files + 1)],
            replications=1,
            seed=self.seed,
            traced=("file",),
            claims=acic_claims(self) if acic else twins_claims(self),
            tables=(mean, single) if acic else (single,),
        )


TWINS_NOTE = (
    "PEHE is against the sampled binary outcomes of both twins, so it cannot fall below their noise and hardly tells "
    "methods apart. The true average effect is -0.0252."
)


def acic_claims(config: WholeData):
    """The card's table of deterministic numbers, and what adjustment must do."""
    claims = []
    for method, anchors in ACIC_ANCHORS.items():
        for number, values in enumerate(anchors[: config.files], start=1):
            claims += [_exactly(metric, method, v, number) for metric, v in zip(("ate", "pehe"), values, strict=True)]
    claims += [_exactly("ate", "Difference in means", v, i) for i, v in enumerate(NAIVE[: config.files], start=1)]
    claims = [claim for claim in claims if claim.method in config.methods]
    for metric, pair in (("ate_error", ("AIPW", "Difference in means")), ("ate_error", ("Ridge DR", "OLS-1"))):
        if set(pair) <= set(config.methods) and config.files > 1:
            claims.append(Ordering(metric=metric, methods=pair, unit=("file",), source="card, section 5"))
    return tuple(claims)


def twins_claims(config: WholeData):
    """Published constants of the file, and that adjustment reduces the confounding."""
    claims = [_exactly("ate", "Difference in means", -0.1121, 1, 5e-5), _exactly("ate", "OLS-1", -0.0865, 1, 5e-5)]
    claims = [claim for claim in claims if claim.method in config.methods]
    for pair in (("OLS-1", "Difference in means"), ("AIPW", "OLS-1")):
        if set(pair) <= set(config.methods):
            claims.append(Ordering(metric="ate_error", methods=pair, unit=(), source="card datasets, section 5"))
    return tuple(claims)


def _exactly(metric: str, method: str, value: float, number: int, slack: float = 5e-4) -> Within:
    name = f"file {number}, {metric}: {method} is {value:g} +- {slack:g}"
    where = {"file": number}
    return Within(
        metric=metric,
        method=method,
        low=value - slack,
        high=value + slack,
        where=where,
        unit=(),
        name=name,
        source="card datasets, section 6",
    )


def replicate(key, setting, *, config: WholeData):
    """All methods on one file."""
    data = _data(config.dataset)
    index = setting["file"] - 1
    x, *simulated = traced(data.x, data.t, data.y, *_truth(data))
    t, y, low, high = (jnp.atleast_2d(array)[index] for array in simulated)
    truth = high - low
    rows = EffectRows(x, x, t, y, jnp.ones_like(y), stratified_folds(key, t, FOLDS))
    metrics = {}
    for method in config.methods:
        effect = METHODS[method](rows)
        metrics[method] = {
            "ate": jnp.mean(effect),
            "ate_error": ate_error(effect, truth),
            "pehe": pehe(effect, truth),
        }
    return metrics


def _truth(data: EffectBenchmark):
    return (data.y0, data.y1) if data.mu0 is None else (data.mu0, data.mu1)


@lru_cache(maxsize=2)
def _data(dataset: str) -> EffectBenchmark:
    return load(dataset)
