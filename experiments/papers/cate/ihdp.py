"""IHDP (Hill 2011, NPCI replications): error of the effect, for units in the training set and for new ones."""

import dataclasses
from functools import lru_cache, partial

import numpy as np

from causalrep.base.validation import check_range
from causalrep.data import EffectBenchmark, load
from causalrep.effects.meta import EffectRows
from causalrep.errors import InputError
from causalrep.inference.crossfit import stratified_folds
from causalrep.metrics import ate_error, pehe
from causalrep.study import Ordering, Study, Table, Within
from experiments.papers.cate.methods import FOLDS, KERNEL, LINEAR, METHODS, traced

METRICS = ("pehe_in", "pehe_out", "ate_error_in", "ate_error_out")
# Least squares on a fixed split is deterministic: means over the replications, to the digits the card prints.
ANCHORS = {
    100: {
        "OLS-1": {"pehe_in": 5.600, "pehe_out": 5.730, "ate_error_in": 0.746, "ate_error_out": 0.784},
        "OLS-2": {"pehe_in": 2.235, "pehe_out": 2.409, "ate_error_in": 0.135, "ate_error_out": 0.269},
    },
    1000: {
        "OLS-1": {"pehe_in": 5.800, "pehe_out": 5.736, "ate_error_in": 0.727, "ate_error_out": 0.860},
        "OLS-2": {"pehe_in": 2.259, "pehe_out": 2.312, "ate_error_in": 0.126, "ate_error_out": 0.268},
    },
}


@dataclasses.dataclass(frozen=True)
class Ihdp:
    """Methods on the NPCI replications of IHDP.

    Attributes:
        name: Which table, as a config name.
        simulations: Replications 1 to this number of the 1,000 public ones.
        methods: Names from experiments/papers/cate/methods.py.
        seed: Random seed of the folds for cross-fitting.
    """

    name: str = "cate/ihdp100"
    simulations: int = 100
    methods: tuple[str, ...] = LINEAR + KERNEL
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("simulations", self.simulations, at_least=1, at_most=1000)
        unknown = [method for method in self.methods if method not in METHODS]
        if unknown:
            raise InputError("methods", found=f"{unknown}", expected=f"names among {list(METHODS)}")

    def study(self) -> Study:
        """The study: one cell per public replication, which serves as the unit of all standard errors."""
        return Study(
            name=self.name,
            replicate=partial(replicate, config=self),
            settings=[{"simulation": number} for number in range(1, self.simulations + 1)],
            replications=1,
            seed=self.seed,
            traced=("simulation",),
            claims=self._claims(),
            tables=(
                Table(title="Mean over replications", metric=METRICS, unit=("simulation",)),
                Table(
                    title="Median over replications",
                    metric=METRICS,
                    unit=("simulation",),
                    aggregate="median",
                    reported=False,
                    note="The spread of the effect differs by a factor of 500 between replications: a "
                    "mean is decided by a few of them.",
                ),
            ),
        )

    def _claims(self):
        """What a reproduction must show (paper card, section 9)."""
        claims = []
        for method, anchors in ANCHORS.get(self.simulations, {}).items():
            claims += [
                Within(
                    metric=metric,
                    method=method,
                    low=value - 5e-4,
                    high=value + 5e-4,
                    unit=(),
                    name=f"{metric}: {method} is {value:.3f}, to three decimals",
                    source="card, section 8",
                )
                for metric, value in anchors.items()
                if method in self.methods
            ]
        orders = [
            ("pehe_out", ("OLS-2", "OLS-1"), "Table 1 of Shalit et al. (2017)"),
            ("pehe_out", ("Kernel T", "OLS-2"), "the response surfaces are not linear"),
            ("pehe_out", ("OLS-1", "Zero effect"), "a constant fits better than no effect"),
            ("ate_error_in", ("AIPW", "Difference in means"), "card, section 9"),
            ("ate_error_in", ("OLS-2", "Difference in means"), "card, section 9"),
            ("ate_error_in", ("Kernel T", "Difference in means"), "card, section 9"),
        ]
        claims += [
            Ordering(metric=metric, methods=pair, unit=("simulation",), min_replications=50, source=source)
            for metric, pair, source in orders
            if set(pair) <= set(self.methods)
        ]
        return tuple(claims)


def replicate(key, setting, *, config: Ihdp):
    """All methods on one public replication; in-sample are the units they were fitted to, out-of-sample the rest."""
    data, test_sets = data_and_tests(config.simulations)
    index = setting["simulation"] - 1
    x, t, *simulated = traced(data.x, data.t, data.y, data.mu0, data.mu1, test_sets)
    y, mu0, mu1, test = (array[index] for array in simulated)
    rows = EffectRows(x, x, t, y, 1.0 - test, stratified_folds(key, t, FOLDS))
    metrics = {}
    for method in config.methods:
        effect = METHODS[method](rows)
        metrics[method] = {
            "pehe_in": pehe(effect, mu1 - mu0, 1.0 - test),
            "pehe_out": pehe(effect, mu1 - mu0, test),
            "ate_error_in": ate_error(effect, mu1 - mu0, 1.0 - test),
            "ate_error_out": ate_error(effect, mu1 - mu0, test),
        }
    return metrics


@lru_cache(maxsize=2)
def data_and_tests(simulations: int) -> tuple[EffectBenchmark, np.ndarray]:
    """IHDP with its first replications, and which units are in the test set of each (R, 747)."""
    data = load("ihdp", replications=range(1, simulations + 1))
    return data, np.stack([data.is_test(i).astype(float) for i in range(simulations)])
