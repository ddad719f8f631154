"""Jobs (Shalit et al. 2017): policy risk and error of the effect on the treated, over the ten canonical splits."""

import dataclasses
from functools import lru_cache, partial

import jax.numpy as jnp
import numpy as np

from causalrep.base.validation import check_range
from causalrep.data import EffectBenchmark, load
from causalrep.effects.meta import EffectRows
from causalrep.errors import InputError
from causalrep.inference.crossfit import stratified_folds
from causalrep.metrics import att_error, policy_risk
from causalrep.study import Ordering, Study, Table, Within
from experiments.papers.cate.methods import FOLDS, LINEAR, LOGISTIC, METHODS, traced

METRICS = ("policy_risk_in", "policy_risk_out", "att_error_in", "att_error_out")
# Baselines that the risk of a learned policy is to be compared with.
TREAT_ALL, TREAT_NONE = "Treat all", "Zero effect"


@dataclasses.dataclass(frozen=True)
class Jobs:
    """Methods on the splits of Jobs.

    Attributes:
        splits: Number of splits, at most ten.
        methods: Names from experiments/papers/cate/methods.py.
        seed: Random seed of the folds for cross-fitting.
    """

    splits: int = 10
    methods: tuple[str, ...] = LINEAR + LOGISTIC + ("5-NN T",)
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("splits", self.splits, at_least=1, at_most=10)
        unknown = [method for method in self.methods if method not in METHODS]
        if unknown:
            raise InputError("methods", found=f"{unknown}", expected=f"names among {list(METHODS)}")

    def study(self) -> Study:
        """The study: one cell per split. The splits share units, so standard errors over them are rough."""
        return Study(
            name="cate/jobs",
            replicate=partial(replicate, config=self),
            settings=[{"split": split} for split in range(1, self.splits + 1)],
            replications=1,
            seed=self.seed,
            traced=("split",),
            claims=self._claims(),
            tables=(
                Table(
                    title="Policy risk and error of the effect on the treated",
                    metric=METRICS,
                    unit=("split",),
                    note="Lower is better. The standard errors are over the splits, which share most of their units.",
                ),
            ),
        )

    def _claims(self):
        """What a reproduction must show (paper card, sections 8 and 9)."""
        if self.splits < 10:
            return ()
        exact = {
            "OLS-1": {"policy_risk_in": 0.225, "policy_risk_out": 0.226, "att_error_in": 0.013, "att_error_out": 0.080},
            TREAT_ALL: {"policy_risk_in": 0.225, "policy_risk_out": 0.226},
            TREAT_NONE: {"policy_risk_in": 0.305, "policy_risk_out": 0.297},
        }
        about = {
            "Logistic S": {"policy_risk_in": 0.225, "policy_risk_out": 0.226},
            "Logistic T": {"policy_risk_in": 0.223, "policy_risk_out": 0.251},
        }
        claims = [
            Within(
                metric=metric,
                method=method,
                low=value - slack,
                high=value + slack,
                unit=(),
                name=f"{metric}: {method} is {value:.3f} +- {slack:g}",
                source="card, section 8",
            )
            for numbers, slack in ((exact, 5e-4), (about, 0.01))
            for method, anchors in numbers.items()
            if method in (*self.methods, TREAT_ALL)
            for metric, value in anchors.items()
        ]
        if {"AIPW", "Difference in means"} <= set(self.methods):
            claims.append(
                Ordering(
                    metric="att_error_in",
                    methods=("AIPW", "Difference in means"),
                    unit=("split",),
                    source="adjustment removes most of the selection",
                )
            )
        return tuple(claims)


def replicate(key, setting, *, config: Jobs):
    """All methods on one split; "in" are the units they were fitted to, "out" the test units."""
    data, test_sets = _data()
    x, t, y, test_sets = traced(data.x, data.t, data.y, test_sets)
    test = test_sets[setting["split"] - 1]
    randomized = jnp.asarray(data.randomized, y.dtype)
    rows = EffectRows(x, x, t, y, 1.0 - test, stratified_folds(key, t, FOLDS))
    effects = {method: METHODS[method](rows) for method in config.methods} | {TREAT_ALL: jnp.ones_like(y)}
    metrics = {}
    for method, effect in effects.items():
        scores = {}
        for place, where in (("in", 1.0 - test), ("out", test)):
            scores[f"policy_risk_{place}"] = policy_risk(effect, y, t, randomized, where)
            if method != TREAT_ALL:
                scores[f"att_error_{place}"] = att_error(effect, y, t, randomized, where)
        metrics[method] = scores
    return metrics


@lru_cache(maxsize=1)
def _data() -> tuple[EffectBenchmark, np.ndarray]:
    data = load("jobs")
    return data, np.stack([data.is_test(split).astype(float) for split in range(10)])
