"""Coverage of doubly robust intervals, with both nuisances right, either wrong, and both wrong (a negative control)."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from causalrep.base.validation import check_range
from causalrep.effects import LeastSquares, Logistic, meta
from causalrep.effects.scores import aipw_ate, aipw_att, cross_fit_nuisances
from causalrep.inference.crossfit import Learner, stratified_folds
from causalrep.study import Ordering, Study, Table, Within
from experiments.papers.cate.methods import FOLDS, difference_in_means

RIGHT, NO_OUTCOME, NO_PROPENSITY, NEITHER = "both right", "outcome wrong", "propensity wrong", "both wrong"
SCENARIOS = (RIGHT, NO_OUTCOME, NO_PROPENSITY, NEITHER)
COVARIATES = 4
LARGE = 20_000


@dataclasses.dataclass(frozen=True)
class Blind:
    """A regression that does not see the first covariate, the strongest confounder: a wrong model by construction."""

    learner: Learner

    def fit(self, x: Any, y: Any, w: Any) -> Any:
        """Fits to the other covariates."""
        return self.learner.fit(x[:, 1:], y, w)

    def predict(self, params: Any, x: Any) -> Any:
        """Predicts from the other covariates."""
        return self.learner.predict(params, x[:, 1:])


@dataclasses.dataclass(frozen=True)
class Coverage:
    """A linear model with heterogeneous effects and confounded treatment.

    Attributes:
        n: Rows of a sample.
        replications: Number of samples per scenario.
        scenarios: Which nuisances are right.
        large: Also one scenario of 20,000 rows, in which no learner may be biased.
        seed: Random seed.
    """

    n: int = 1000
    replications: int = 400
    scenarios: tuple[str, ...] = SCENARIOS
    large: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("n", self.n, at_least=100)
        check_range("replications", self.replications, at_least=2)

    def study(self) -> Study:
        """The study: one cell per scenario, with the same samples in each."""
        settings = [{"scenario": scenario, "n": self.n} for scenario in self.scenarios]
        settings += [{"scenario": RIGHT, "n": LARGE}] * self.large
        return Study(
            name="cate/coverage",
            replicate=partial(replicate, config=self),
            settings=settings,
            replications=self.replications,
            seed=self.seed,
            shared=("scenario",),
            claims=self._claims(),
            tables=(
                Table(
                    title="AIPW: bias, and coverage of 95% intervals",
                    metric=("bias", "covered", "width"),
                    rows=("scenario", "n", "method"),
                    where={"method": ("AIPW, ATE", "AIPW, ATT")},
                ),
                Table(
                    title="Bias of the mean estimated effect",
                    metric="bias",
                    rows=("method",),
                    columns=("scenario", "n"),
                    where={"method": METHODS},
                ),
            ),
        )

    def _claims(self):
        """Card cate-estimators, section 9."""
        enough = {"min_replications": 200}
        at = {scenario: {"scenario": scenario, "n": self.n} for scenario in self.scenarios}
        claims = []
        for scenario in [scenario for scenario in at if scenario != NEITHER]:
            claims.append(
                Within(
                    metric="bias",
                    method="AIPW, ATE",
                    low=-0.02,
                    high=0.02,
                    where=at[scenario],
                    source="double robustness",
                    **enough,
                )
            )
        if RIGHT in at:
            claims += [
                *(
                    Within(
                        metric="covered",
                        method=method,
                        low=0.93,
                        high=0.97,
                        where=at[RIGHT],
                        source="card, section 9",
                        **enough,
                    )
                    for method in ("AIPW, ATE", "AIPW, ATT")
                ),
                Within(
                    metric="bias",
                    method="Difference in means",
                    low=0.3,
                    where=at[RIGHT],
                    source="negative control: the treatment is confounded",
                    **enough,
                ),
            ]
        if NEITHER in at:
            claims.append(
                Within(
                    metric="covered",
                    method="AIPW, ATE",
                    high=0.5,
                    where=at[NEITHER],
                    source="negative control: both nuisances miss the confounder",
                    **enough,
                )
            )
        if {RIGHT, NO_OUTCOME} <= set(at):
            pair = tuple(("AIPW, ATE", {"scenario": scenario}) for scenario in (RIGHT, NO_OUTCOME))
            claims.append(
                Ordering(metric="width", methods=pair, where={"n": self.n}, source="a right model is precise")
            )
        if self.large:
            where = {"scenario": RIGHT, "n": LARGE}
            claims += [
                Within(metric="bias", method=method, low=-0.02, high=0.02, where=where, source="consistency", **enough)
                for method in ("T-learner", "X-learner", "R-learner", "DR-learner", "AIPW, ATE")
            ]
        return tuple(claims)


METHODS = ("Difference in means", "T-learner", "X-learner", "R-learner", "DR-learner", "AIPW, ATE", "AIPW, ATT")


def replicate(key, setting, *, config: Coverage):
    """One sample in one scenario."""
    del config
    data_key, fold_key = jax.random.split(key)
    x, t, y, _ = draw(data_key, setting["n"])
    outcome, propensity = LeastSquares(), Logistic(penalty=0.0)
    if setting["scenario"] in (NO_OUTCOME, NEITHER):
        outcome = Blind(outcome)
    if setting["scenario"] in (NO_PROPENSITY, NEITHER):
        propensity = Blind(propensity)
    w, folds = jnp.ones_like(y), stratified_folds(fold_key, t, FOLDS)
    rows = meta.EffectRows(x, x, t, y, w, folds)
    nuisances = cross_fit_nuisances(outcome, propensity, x, t, y, w, folds, FOLDS)
    # The population's effects, exactly: E[1 + x1/2] = 1, and given treatment by quadrature in `att`.
    truths = {"ATE": 1.0, "ATT": att()}
    metrics = {}
    for name, average in (("ATE", aipw_ate(t, y, w, nuisances)), ("ATT", aipw_att(t, y, w, nuisances))):
        half = 1.959964 * average.se
        metrics[f"AIPW, {name}"] = {
            "bias": average.value - truths[name],
            "covered": (jnp.abs(average.value - truths[name]) <= half).astype(y.dtype),
            "width": 2 * half,
        }
    linear = LeastSquares()
    learners = {
        "T-learner": meta.T(outcome),
        "X-learner": meta.X(outcome, linear, propensity),
        "R-learner": meta.R(outcome, linear, propensity),
        "DR-learner": meta.DR(outcome, linear, propensity),
    }
    metrics["Difference in means"] = {"bias": jnp.mean(difference_in_means(rows)) - 1.0}
    for name, learner in learners.items():
        metrics[name] = {"bias": jnp.mean(learner.predict(learner.fit(rows), x)) - 1.0}
    return metrics


def draw(key, n: int):
    """Covariates (n, 4), t, y and the true effects: ``tau = 1 + x1/2``, ``e = sigmoid(0.8 x0 - 0.4 x1)``."""
    x_key, t_key, y_key = jax.random.split(key, 3)
    x = jax.random.normal(x_key, (n, COVARIATES))
    t = jax.random.bernoulli(t_key, jax.nn.sigmoid(0.8 * x[:, 0] - 0.4 * x[:, 1])).astype(x.dtype)
    tau = 1.0 + 0.5 * x[:, 1]
    y = x[:, 0] + 0.5 * x[:, 1] - 0.25 * x[:, 2] + tau * t + jax.random.normal(y_key, (n,))
    return x, t, y, tau


def att() -> float:
    """``E[1 + x1/2 | T = 1]`` by Gauss-Hermite quadrature over the two covariates that matter."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    x0, x1 = np.meshgrid(nodes, nodes)
    mass = np.outer(weights, weights) / (1 + np.exp(-(0.8 * x0 - 0.4 * x1)))
    return float(1 + 0.5 * np.sum(mass * x1) / np.sum(mass))
