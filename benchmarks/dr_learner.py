"""A cross-fitted DR-learner with ridge and logistic nuisances, beside EconML's: effects, average and interval.

The design of docs/treatment-effects.md's linear study: n = 5,000, 20 covariates, five folds, a logistic propensity of
three of them and an effect linear in two. Both estimators are what an analyst calls: ``fit`` from arrays, then the
effect at every row and the average effect with its interval.
"""

import time

import numpy as np

from benchmarks.harness import Row, measure
from causalrep.effects import DRLearner, Logistic, Ridge

ROWS, COVARIATES, FOLDS, EFFECT = 5000, 20, 5, 2.0


def draw(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Y (n,), T (n,), X (n, d) and the true effects (n,)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, COVARIATES))
    t = (rng.uniform(size=ROWS) < 1 / (1 + np.exp(-(x[:, 0] + 0.5 * x[:, 1] - 0.5 * x[:, 2])))).astype(float)
    effect = EFFECT + x[:, 0] - 0.5 * x[:, 3]
    return x @ np.linspace(1.0, 0.0, COVARIATES) + effect * t + rng.normal(size=ROWS), t, x, effect


def ours(y: np.ndarray, t: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Effects, average effect and half of its 95% interval."""
    model = DRLearner(outcome=Ridge(1 / ROWS), propensity=Logistic(1 / ROWS), cv=FOLDS).fit(y, t, X=x)
    low, high = model.ate_interval()
    return model.effect(), model.ate(), (high - low) / 2


def run() -> Row | None:
    """Time both sides on the same data set; ``None`` where EconML is not installed."""
    try:
        from econml.dr import LinearDRLearner
        from sklearn.linear_model import LogisticRegression
        from sklearn.linear_model import Ridge as SklearnRidge
    except ImportError:
        return None

    def theirs(y: np.ndarray, t: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, float, float]:
        model = LinearDRLearner(
            model_regression=SklearnRidge(1.0),
            model_propensity=LogisticRegression(),
            cv=FOLDS,
            random_state=0,
        ).fit(y, t, X=x)
        average = model.ate_inference(x)
        low, high = average.conf_int_mean()
        return model.effect(x), float(average.mean_point), float(high - low) / 2

    y, t, x, effect = draw(0)
    start = time.perf_counter()
    ours(y, t, x)
    first = time.perf_counter() - start
    timing = measure(lambda: ours(y, t, x), units=1, repeats=9)
    peer = measure(lambda: theirs(y, t, x), units=1, repeats=5)
    (our_effect, our_ate, our_half), (their_effect, their_ate, their_half) = ours(y, t, x), theirs(y, t, x)
    errors = [float(np.sqrt(np.mean((estimate - effect) ** 2))) for estimate in (our_effect, their_effect)]
    return Row(
        task=f"DR-learner, ridge and logistic nuisances, n = {ROWS:,}, {COVARIATES} covariates, {FOLDS} folds",
        ours=timing,
        peer="EconML LinearDRLearner",
        theirs=peer,
        unit="fit, effects and interval",
        units=1,
        compile_seconds=first - timing.median,
        claim=1,
        note=(
            f"average effect {our_ate:.3f} ± {our_half:.3f} against {their_ate:.3f} ± {their_half:.3f} (truth "
            f"{effect.mean():.3f}); root mean squared error of individual effects {errors[0]:.3f} against "
            f"{errors[1]:.3f}. EconML fits one outcome regression with the treatment as a column, ours one per arm."
        ),
    )
