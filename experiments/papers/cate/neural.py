"""Networks on IHDP: TARNet, CFR, BNN, DragonNet, SNet and CEVAE, trained once per replication at published settings."""

import dataclasses
from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import pandas as pd

from causalrep.base.validation import check_range
from causalrep.effects.meta import EffectRows
from causalrep.effects.networks import CFRLearner, DragonLearner, SNetLearner
from causalrep.errors import InputError
from causalrep.inference.crossfit import stratified_folds
from causalrep.metrics import ate_error, pehe
from causalrep.study import Holds, Ordering, Ratio, Study, Table, Within, select
from causalrep.training.rows import Schedule
from experiments.papers.cate.ihdp import METRICS, data_and_tests
from experiments.papers.cate.latent import CEVAELearner
from experiments.papers.cate.methods import FOLDS, METHODS, traced

# As published: the six continuous covariates are standardized, the others are 0 or 1; alpha is relative to errors in
# the outcome's own units.
_PUBLISHED = {"standardize": False, "outcome_units": True}
NETWORKS: Mapping[str, CFRLearner | DragonLearner | SNetLearner | CEVAELearner] = {
    "TARNet": CFRLearner(**_PUBLISHED),
    "CFR MMD": CFRLearner(alpha=0.3, discrepancy="linear", **_PUBLISHED),
    "CFR Wass": CFRLearner(alpha=0.3, **_PUBLISHED),
    "BNN": CFRLearner(alpha=0.3, discrepancy="linear", split_output=False, **_PUBLISHED),
    "DragonNet": DragonLearner(targeted=0.0, standardize=False),
    "DragonNet + t-reg": DragonLearner(standardize=False),
    "SNet": SNetLearner(standardize=False),
    # It costs many times as much as the others, so it has a config of its own, cate/ihdp_cevae.
    "CEVAE": CEVAELearner(),
}
BASELINES = ("Difference in means", "OLS-1", "OLS-2")
# The card's range for the median of TARNet, and the updates of a smoke run.
MEDIAN, SMOKE_STEPS = 0.9, 20


@dataclasses.dataclass(frozen=True)
class IhdpNeural:
    """Networks on the NPCI replications of IHDP.

    Attributes:
        name: Which table, as a config name.
        simulations: Replications 1 to this number of the 100 with a canonical split.
        methods: Names from :data:`NETWORKS` and experiments/papers/cate/methods.py.
        quick: Twenty updates instead of thousands, to see that everything runs.
        seed: Random seed of initialization, split and batches, with a key for each replication.
    """

    name: str = "cate/ihdp_neural"
    simulations: int = 100
    methods: tuple[str, ...] = (*BASELINES, *(name for name in NETWORKS if name != "CEVAE"))
    quick: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("simulations", self.simulations, at_least=1, at_most=100)
        known = [*NETWORKS, *METHODS]
        unknown = [method for method in self.methods if method not in known]
        if unknown:
            raise InputError("methods", found=f"{unknown}", expected=f"names among {known}")

    def study(self) -> Study:
        """The study: one cell per public replication, which serves as the unit of all standard errors."""
        note = (
            "Published numbers are of other replications and splits: 1,000 of them (Shalit et al.). ate_error_all: "
            "trained on all 747 units, averaged over those with estimated propensity in [.01, .99]."
        )
        return Study(
            name=self.name,
            replicate=partial(replicate, config=self),
            settings=[{"simulation": number} for number in range(1, self.simulations + 1)],
            replications=1,
            seed=self.seed,
            traced=("simulation",),
            config={
                "quick": self.quick,
                "networks": {name: repr(learner) for name, learner in NETWORKS.items() if name in self.methods},
            },
            claims=() if self.quick else self._claims(),
            tables=(
                Table(
                    title="Mean over replications", metric=(*METRICS, "ate_error_all"), unit=("simulation",), note=note
                ),
                Table(
                    title="Median over replications",
                    metric=METRICS,
                    unit=("simulation",),
                    aggregate="median",
                    reported=False,
                ),
            ),
        )

    def _claims(self):
        """What a reproduction must show (paper card, section 9)."""
        unit, enough = ("simulation",), 50
        networks = [name for name in NETWORKS if name in self.methods]
        claims = []
        if "TARNet" in networks:
            claims += [
                Within(
                    metric="pehe_out",
                    method="TARNet",
                    low=0.7,
                    high=1.6,
                    unit=unit,
                    min_replications=enough,
                    source="card, section 9",
                ),
                Holds(
                    f"pehe_out: median of TARNet at most {MEDIAN}",
                    partial(_median_at_most, enough=enough),
                    source="card, section 9",
                ),
            ]
        claims += [
            Ratio(
                metric="pehe_out",
                numerator=name,
                denominator="TARNet",
                high=1.1,
                unit=unit,
                min_replications=enough,
                source="card, section 9: balancing must not hurt",
            )
            for name in ("CFR MMD", "CFR Wass")
            if {name, "TARNet"} <= set(networks)
        ]
        claims += [
            Within(
                metric="ate_error_all",
                method=name,
                high=0.25,
                unit=unit,
                min_replications=enough,
                source="card, section 9: the difference in means has .259",
            )
            for name in networks
            if isinstance(NETWORKS[name], DragonLearner)
        ]
        claims += [
            Ordering(
                metric="pehe_out",
                methods=(name, "OLS-2", "OLS-1"),
                unit=unit,
                min_replications=enough,
                source="card, section 9",
            )
            for name in networks
            if name != "CEVAE" and {"OLS-1", "OLS-2"} <= set(self.methods)
        ]
        if {"CEVAE", "OLS-1"} <= set(self.methods):
            # Its published row lies at that of OLS-2, on either side.
            claims.append(
                Ordering(
                    metric="pehe_out",
                    methods=("CEVAE", "OLS-1"),
                    unit=unit,
                    min_replications=20,
                    source="Louizos et al. (2017), Table 1",
                )
            )
        return tuple(claims)


def _median_at_most(frame: pd.DataFrame, *, enough: int) -> tuple[bool | None, str]:
    values = select(frame, metric="pehe_out", method="TARNet")["value"]
    median = values.median()
    return (None if len(values) < enough else bool(median <= MEDIAN)), f"median {median:.4g} (n={len(values)})"


def replicate(key, setting, *, config: IhdpNeural):
    """All methods on one public replication."""
    data, test_sets = data_and_tests(config.simulations)
    index = setting["simulation"] - 1
    x, t, *simulated = traced(data.x, data.t, data.y, data.mu0, data.mu1, test_sets)
    y, mu0, mu1, test = (array[index] for array in simulated)
    fold_key, *network_keys = jax.random.split(key, 1 + 2 * len(NETWORKS))
    rows = EffectRows(x, x, t, y, 1.0 - test, stratified_folds(fold_key, t, FOLDS))
    everyone = rows._replace(w=jnp.ones_like(y))
    # The training units alone, as many in every replication: rows of weight 0 would fill places in the batches.
    units = len(data.y[0]) - int(test_sets[0].sum())
    fitted = jax.tree.map(lambda array: array[jnp.argsort(test)[:units]], rows)
    metrics = {}
    for method in config.methods:
        if method in NETWORKS:
            learner, number = NETWORKS[method], 2 * list(NETWORKS).index(method)
            learner = shortened(learner) if config.quick else learner
            effect = learner.predict(learner.fit(fitted, network_keys[number]), x)
        else:
            effect = METHODS[method](rows)
        metrics[method] = {
            "pehe_in": pehe(effect, mu1 - mu0, 1.0 - test),
            "pehe_out": pehe(effect, mu1 - mu0, test),
            "ate_error_in": ate_error(effect, mu1 - mu0, 1.0 - test),
            "ate_error_out": ate_error(effect, mu1 - mu0, test),
        }
        if isinstance(NETWORKS.get(method), DragonLearner):
            average = learner.average(learner.fit(everyone, network_keys[number + 1]), x)
            metrics[method]["ate_error_all"] = jnp.abs(average - jnp.mean(mu1 - mu0))
    return metrics


def shortened(learner):
    """The learner with a training so short that it only shows that the code runs."""
    if isinstance(learner, DragonLearner):
        return dataclasses.replace(learner, schedule=Schedule(epochs=1), sgd_epochs=1)
    if isinstance(learner, CEVAELearner):
        return dataclasses.replace(learner, epochs=2, draws=2)
    return dataclasses.replace(learner, schedule=Schedule(steps=SMOKE_STEPS))
