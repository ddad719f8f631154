"""Monte Carlo of tests and estimators with weak instruments: which tests reject the truth, and how often?"""

import dataclasses
import math
from functools import partial

import jax
import pandas as pd
from scipy import stats

from causalrep.data import linear_iv
from causalrep.iv import System, fuller, liml, two_stage_least_squares
from causalrep.iv.diagnostics.first_stage import first_stage_f_statistic
from causalrep.iv.weak.statistics import anderson_rubin_statistic, clr_statistic, lm_statistic, lr_statistic
from causalrep.study import Curves, Holds, Monotone, Study, Table, Within, estimate, grid, select, unit_values

LEVEL = 0.05
# Three Monte Carlo standard errors of a rate of .05 with 2,000 replications, as on the card.
BAND = {"low": LEVEL - 0.015, "high": LEVEL + 0.015}
ENOUGH = 500  # replications below which a rate near .05 is too noisy to judge
EQUAL, UNEQUAL = "homoskedastic", "heteroskedastic"
ESTIMATORS = {"2SLS": two_stage_least_squares, "LIML": liml, "Fuller(1)": fuller}
ROBUST = ("AR", "LM", "CLR")
TESTS = {"AR": anderson_rubin_statistic, "LM": lm_statistic, "CLR": clr_statistic, "LR": lr_statistic}
# The card's rejection rates of Wald's test with 2SLS, measured with 2,000 replications.
CARD_WALD = {0.03: 0.682, 0.1: 0.177, 0.3: 0.062}
CARD_REPLICATIONS = 2000


@dataclasses.dataclass(frozen=True)
class WeakInstruments:
    """Tests of the true effect at 5%, and estimates of it, from irrelevant to strong instruments.

    Attributes:
        replications: Data sets per cell (card: 2,000).
        samples: Number of rows n (card: 500).
        instruments: Number of instruments k (card: 5).
        endogeneity: Correlation rho of the errors (card: .9).
        effect: True effect b (card: 1).
        strengths: First-stage coefficients, each that of every instrument (card: .03, .1, .3).
        seed: Random seed.
    """

    replications: int = 2000
    samples: int = 500
    instruments: int = 5
    endogeneity: float = 0.9
    effect: float = 1.0
    strengths: tuple[float, ...] = (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3)
    seed: int = 0

    def study(self) -> Study:
        """The study: cells are kinds of errors x instrument strengths, replications are data sets.

        Every cell draws its own data sets. AR at the true effect does not depend on the strength, so with shared random
        numbers its rate would be the same number at every strength.
        """
        equal, unequal = {"errors": EQUAL}, {"errors": UNEQUAL}
        by_strength = {
            "x": "strength",
            "metric": "reject",
            "xlabel": "first-stage coefficient of each instrument",
            "ylabel": "rejection rate of the true effect (± 2 SE)",
            "hline": LEVEL,
        }
        return Study(
            name="iv/weak_instruments",
            replicate=partial(replicate, config=self),
            settings=grid(errors=[EQUAL, UNEQUAL], strength=list(self.strengths)),
            replications=self.replications,
            seed=self.seed,
            precision="auto",
            traced=("strength",),
            claims=self._claims(),
            tables=(
                Table(
                    title="Rejection rate of the true effect at 5%",
                    metric="reject",
                    columns="strength",
                    where=equal,
                    note="Wald: t tests with each estimator. AR, LM and CLR are valid at any strength, LR only with "
                    "strong instruments.",
                ),
                Table(
                    title="Rejection rate at 5% with heteroskedastic errors (standard deviation |z_1|)",
                    metric="reject",
                    columns="strength",
                    where=unequal,
                    note="HC1: tests with a heteroskedasticity-robust covariance, which the card does not have.",
                ),
                Table(
                    title=f"Median estimate of the effect ({self.effect:g})",
                    metric="estimate",
                    columns="strength",
                    where=equal,
                    aggregate="median",
                ),
                Table(title="First-stage F", metric="F", rows="strength", where=equal),
            ),
            figures=(
                Curves(
                    **by_strength,
                    where=equal,
                    name="rejection",
                    title="Wald's test fails with weak instruments",
                    methods=(*(f"Wald {name}" for name in ESTIMATORS), *TESTS),
                ),
                Curves(
                    **by_strength,
                    where=unequal,
                    name="rejection-heteroskedastic",
                    title="Heteroskedastic errors need a robust covariance as well",
                    methods=("Wald 2SLS", "Wald 2SLS (HC1)", *ROBUST, *(f"{name} (HC1)" for name in ROBUST)),
                ),
            ),
        )

    def _claims(self) -> tuple[Within | Monotone | Holds, ...]:
        expected = [self._everywhere(name, EQUAL, source="card, section 8, item 2", **BAND) for name in ROBUST]
        for strength in {0.03, 0.1, 0.3} & set(self.strengths):
            at = {"errors": EQUAL, "strength": strength}
            rate = CARD_WALD[strength]
            # The rate on the card has a Monte Carlo error too: the band is three standard errors of the difference.
            band = 3 * math.sqrt(2 * rate * (1 - rate) / CARD_REPLICATIONS)
            expected.append(
                Within(
                    metric="reject",
                    method="Wald 2SLS",
                    low=rate - band,
                    high=rate + band,
                    where=at,
                    name=f"reject: Wald 2SLS at strength {strength:g} as on the card, {rate:g} ± {band:.3f}",
                    min_replications=ENOUGH,
                    source="card, section 6",
                )
            )
        if 0.03 in self.strengths:
            weakest = {"errors": EQUAL, "strength": 0.03}
            expected += [
                Within(metric="reject", method="Wald 2SLS", low=0.5, where=weakest, source="card, section 8, item 2"),
                Within(metric="reject", method="LR", low=0.1, where=weakest, source="theory"),
            ]
        if 0.1 in self.strengths:
            expected.append(
                Holds(
                    "median at strength 0.1: LIML nearer to the effect than 2SLS",
                    partial(_nearer, self.effect),
                    "card, section 6",
                )
            )
        if len(self.strengths) > 1:
            expected.append(
                Monotone(
                    metric="reject",
                    method="Wald 2SLS",
                    along="strength",
                    direction="decreasing",
                    where={"errors": EQUAL},
                    source="theory",
                )
            )
        expected += [
            self._everywhere("AR", UNEQUAL, low=BAND["high"], source="theory"),
            *(self._everywhere(f"{name} (HC1)", UNEQUAL, source="theory", **BAND) for name in ROBUST),
        ]
        return tuple(expected)

    def _everywhere(self, method: str, errors: str, *, source: str, low: float, high: float | None = None) -> Holds:
        """Claims that the rejection rate lies within the bounds at each strength separately."""
        each = [
            Within(
                metric="reject",
                method=method,
                low=low,
                high=high,
                where={"errors": errors, "strength": strength},
                min_replications=ENOUGH,
            )
            for strength in self.strengths
        ]
        bounds = f"at least {low:g}" if high is None else f"within [{low:g}, {high:g}]"
        return Holds(f"reject: {method} {bounds} at every strength, {errors}", partial(_all, each), source)


def replicate(key, setting, *, config: WeakInstruments):
    """Every test of the true effect and every estimate on one data set."""
    unequal = setting["errors"] == UNEQUAL
    y, x, z = linear_iv(
        key,
        n=config.samples,
        instruments=config.instruments,
        strength=setting["strength"],
        endogeneity=config.endogeneity,
        effect=config.effect,
        heteroskedastic=unequal,
    )
    metrics = {f"Wald {name}": wald(fit(y, x, z), config.effect) for name, fit in ESTIMATORS.items()}
    tests = dict(TESTS)
    if unequal:
        robust = two_stage_least_squares(y, x, z, covariance="HC1")
        metrics["Wald 2SLS (HC1)"] = wald(robust, config.effect)
        tests |= {f"{name} (HC1)": partial(TESTS[name], covariance="HC1") for name in ROBUST}
    system = System(y, x, z)
    metrics |= {name: {"reject": test(system, config.effect).p_value < LEVEL} for name, test in tests.items()}
    metrics["First stage"] = {"F": first_stage_f_statistic(system).statistic}
    return metrics


def wald(fit, effect: float) -> dict[str, jax.Array]:
    """The estimate and whether its t test rejects ``effect``."""
    t = (fit.coef[0] - effect) / jax.numpy.sqrt(fit.cov[0, 0])
    return {"reject": abs(t) > stats.norm.isf(LEVEL / 2), "estimate": fit.coef[0]}


def _all(each: list[Within], frame: pd.DataFrame) -> tuple[bool | None, str]:
    results = [claim.evaluate(frame) for claim in each]
    statuses = {result.status for result in results}
    verdict = False if "failed" in statuses else None if "undecided" in statuses else True
    at = zip(each, results, strict=True)
    rates = ", ".join(f"{claim.where['strength']:g}: {result.statistic:.3f}" for claim, result in at)
    return verdict, f"rate at strength {rates}"


def _nearer(effect: float, frame: pd.DataFrame) -> tuple[bool | None, str]:
    medians = {}
    for name in ("2SLS", "LIML"):
        rows = select(frame, errors=EQUAL, strength=0.1, method=f"Wald {name}", metric="estimate")
        medians[name] = estimate(unit_values(rows, ("replication",)), "median")
    distance = {name: abs(median.value - effect) for name, median in medians.items()}
    gap, se = distance["2SLS"] - distance["LIML"], math.hypot(medians["2SLS"].se, medians["LIML"].se)
    detail = ", ".join(f"{name} {median.value:.3f} ± {median.se:.3f}" for name, median in medians.items())
    return (None if abs(gap) <= 2 * se or math.isnan(se) else gap > 0), f"medians: {detail}"
