"""VLUCI on IHDP: with the mother's age hidden (U is not independent of X), and with nothing hidden."""

import dataclasses
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from causalrep.base.validation import check_range
from causalrep.confounders import LatentModel
from causalrep.data import HiddenConfounderSample, draw_ihdp_hidden, ihdp_hidden, load
from causalrep.effects import KernelRidge, meta
from causalrep.effects.networks import CFRLearner
from causalrep.study import Ordering, Ratio, RelativeGain, Study, Table, Within
from causalrep.training.rows import Schedule
from experiments.papers.cate.methods import traced
from experiments.papers.vluci.methods import OLS_T, Estimator, learned, with_vluci, without_vluci

ESTIMATORS = {"OLS, ": OLS_T, "Kernel, ": learned(meta.T(KernelRidge()))}
LAWS = {"Gaussian": "gaussian", "two-point": "two_point"}
METRICS = ("ate_error", "pehe")


@dataclasses.dataclass(frozen=True)
class Ihdp:
    """Effect estimators with and without an inferred confounder, on IHDP's covariates.

    Attributes:
        name: Config name, which chooses the table.
        hidden: Whether the mother's age is hidden and moves treatment and outcome; otherwise the plain replications.
        simulations: Number of IHDP replications, from the first.
        epochs: Passes over the training rows.
        draws: Number of draws of U.
        width: Width of the networks' two hidden layers.
        seed: Random seed.
    """

    name: str
    hidden: bool
    simulations: int = 100
    epochs: int = 300
    draws: int = 50
    width: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("simulations", self.simulations, at_least=1, at_most=1000)
        for field in ("epochs", "draws", "width"):
            check_range(field, getattr(self, field), at_least=1)

    @property
    def given(self) -> Mapping[str, Estimator]:
        """With nothing hidden, estimators given the covariates and U, by the prefix of their methods' names."""
        return ESTIMATORS

    @property
    def described(self) -> str:
        """The estimators in words."""
        return "A T-learner by least squares" + ("" if self.hidden else ", or by kernel ridge regression (Kernel)")

    def study(self) -> Study:
        """The study, with one cell per IHDP replication, the unit of all standard errors."""
        title = "mother's age hidden" if self.hidden else "nothing hidden"
        return Study(
            name=self.name,
            replicate=partial(replicate, config=self),
            settings=[{"simulation": number} for number in range(1, self.simulations + 1)],
            replications=1,
            seed=self.seed,
            precision="float32",
            traced=("simulation",),
            claims=_hidden_claims() if self.hidden else _plain_claims(self.given),
            tables=(
                Table(
                    title=f"IHDP, {title}: mean over replications",
                    metric=METRICS,
                    unit=("simulation",),
                    note=f"ATE and PEHE over all 747 units, to which everything was fitted. {self.described}.",
                ),
                Table(
                    title="The same, median", metric=METRICS, unit=("simulation",), aggregate="median", reported=False
                ),
                Table(
                    title="The inferred confounder",
                    metric=("kl", "held_out_joint", "coverage", "corr_u")
                    if self.hidden
                    else ("kl", "held_out_joint", "coverage"),
                    unit=("simulation",),
                    reported=False,
                ),
            ),
        )


@dataclasses.dataclass(frozen=True)
class IhdpTARNet(Ihdp):
    """The same with TARNet as the estimator given the covariates and U, at its published widths.

    Attributes:
        steps: Number of updates of TARNet.
    """

    steps: int = 3000

    @property
    def given(self) -> Mapping[str, Estimator]:
        """TARNet given the covariates and U."""
        return {"TARNet, ": learned(CFRLearner(schedule=Schedule(steps=self.steps)))}

    @property
    def described(self) -> str:
        """The estimator in words."""
        return f"TARNet, {self.steps} updates"


def _hidden_claims():
    common = {"unit": ("simulation",), "min_replications": 20}
    claims = [
        Ordering(
            metric="ate_error", methods=("Oracle", f"VLUCI, {law}, {way}", "No U"), source="card, section 9", **common
        )
        for law in LAWS
        for way in ("multiple", "decoder")
    ]
    # Treatment and noise behind the anchors came from another generator: equal up to three Monte Carlo errors.
    anchors = {("No U", "ate_error"): (1.775, 0.162), ("Oracle", "ate_error"): (0.464, 0.061)}
    claims += [
        Within(
            metric=metric, method=method, low=value - 3 * se, high=value + 3 * se, source="card, section 8", **common
        )
        for (method, metric), (value, se) in anchors.items()
    ]
    for law in LAWS:
        method = f"VLUCI, {law}, multiple"
        claims.append(
            RelativeGain(
                metric="ate_error",
                method=method,
                over="No U",
                unit=("simulation",),
                name=f"the ATE error's relative gain from {method} is positive",
                source="card, section 9",
            )
        )
    return tuple(claims)


def _plain_claims(estimators: Iterable[str]):
    common = {"unit": ("simulation",), "min_replications": 10, "source": "card, section 9"}
    return tuple(
        Ratio(
            metric="pehe",
            numerator=f"{kind}VLUCI, {law}, multiple",
            denominator=f"{kind}No U",
            high=1.05,
            name=f"{kind}PEHE rises by at most 5% with a {law} U (multiple)",
            **common,
        )
        for kind in estimators
        for law in LAWS
    )


def replicate(key, setting, *, config: Ihdp):
    """All methods on one replication."""
    data_key, fit_key = jax.random.split(key)
    index = setting["simulation"] - 1
    schedule = Schedule(epochs=config.epochs)
    models = {law: LatentModel(latent, 1, hidden=(config.width,) * 2) for law, latent in LAWS.items()}
    if config.hidden:
        x, u, propensity, mu0, linear = traced(*_hidden(config.simulations))
        s = draw_ihdp_hidden(data_key, x, u, propensity, mu0[index], linear[index])
        metrics = without_vluci(s)
        for law, model in models.items():
            metrics |= with_vluci(fit_key, s, model, schedule, config.draws, f"VLUCI, {law}")[1]
        return metrics
    x, t, *simulated = traced(*_plain(config.simulations))
    y, y_other, mu0, mu1 = (array[index] for array in simulated)
    # No confounder is hidden, so there is no true U; a constant takes its place.
    s = HiddenConfounderSample(x, t, y, jnp.zeros_like(y), mu0, mu1, y_other)
    metrics = {}
    for prefix, estimator in config.given.items():
        base = without_vluci(s, estimator)
        metrics |= {"Difference in means": base["Difference in means"], f"{prefix}No U": base["No U"]}
    for law, model in models.items():
        name = f"VLUCI, {law}"
        methods = with_vluci(fit_key, s, model, schedule, config.draws, name, config.given)[1]
        methods[name].pop("corr_u")
        metrics |= methods
    return metrics


@lru_cache(maxsize=2)
def _hidden(simulations: int) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(values, np.float32) for values in ihdp_hidden(range(1, simulations + 1)))


@lru_cache(maxsize=2)
def _plain(simulations: int) -> tuple[np.ndarray, ...]:
    data = load("ihdp", replications=range(1, simulations + 1))
    other = np.where(data.t == 1, data.y0, data.y1)
    return tuple(np.asarray(values, np.float32) for values in (data.x, data.t, data.y, other, data.mu0, data.mu1))
