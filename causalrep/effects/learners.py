"""The meta-learners with scikit-learn's habits: ``fit(Y, T, X=X)``, ``effect(X)``, intervals, averages, ``summary``.

The learners themselves are in :mod:`causalrep.effects.meta`. Each class here takes its methods from the functions at
the top of this file; the causal forest and the networks take some of them too.
"""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from causalrep.base.validation import check_choice, check_count, check_range
from causalrep.effects import meta
from causalrep.effects.aipw import DOMAINS, cross_fitting_facts, estimate_averages, regressions
from causalrep.effects.base import EffectEstimator
from causalrep.effects.design import EffectDesign, make_effect_design
from causalrep.effects.intervals import bootstrap_effects, conformal_effects
from causalrep.effects.regressions.host import Regression, as_learner, call
from causalrep.effects.regressions.linear import LOGISTIC, RIDGE
from causalrep.effects.scores import CLIP, Nuisances
from causalrep.errors import InputError
from causalrep.keys import derive, root

Kind = Literal["bootstrap", "conformal"]


# D417 asks for a description of `self`, which is no argument of the method that a function becomes.
def fit_learner(  # noqa: D417
    self: EffectEstimator, Y: Any, T: Any, *, X: Any = None, W: Any = None, folds: Any = None
) -> Any:
    """Estimate the effect of a binary treatment and how it varies with ``X``.

    Args:
        Y: Outcome (n,): array, Series or one-column frame.
        T: Treatment (n,), 0 or 1.
        X: Covariates along which the effect may differ (n, d); they are adjusted for.
        W: Further covariates to adjust for (n, q). The R- and DR-learner and the causal forest take them; the other
            learners and the networks describe the effect by everything they adjust for, so give them all in ``X``.
        folds: Fold labels (n,) to use instead of random ones.

    Raises:
        InputError: If an argument is wrong, or the arms do not overlap at all.

    Warns:
        OverlapWarning: If some propensities had to be clipped; the message gives the share.
    """
    self._check_domains()
    if W is not None and not getattr(self, "_takes_controls", False):
        raise InputError("W", found="covariates", expected=f"them in X, as {type(self).__name__} has no W")
    if X is None:
        raise InputError("X", found="None", expected="covariates along which the effect may differ (or use AIPW)")
    return self._fit(make_effect_design(Y, T, X, W, folds, rows_per_arm=2 * self.cv))


def estimate_effects(self: EffectEstimator, design: EffectDesign) -> None:
    """Fit the averages, then the meta-learner that ``_learner()`` gives."""
    estimate_averages(self, design)
    learner, rows = self._learner(), effect_rows(self, design)
    if hasattr(learner, "fit_given"):
        # The averages needed the same regressions on the same folds.
        nuisances = Nuisances(*map(jnp.asarray, self.nuisances_))
        params = call(_fit_given, {"learner": learner}, data=rows, nuisances=nuisances)
    else:
        params = call(_fit, {"learner": learner}, data=rows)
    # NumPy keeps float64 when pickled and read back under JAX's default; a scikit-learn model stays what it is.
    self.params_ = jax.tree.map(lambda leaf: np.asarray(leaf) if isinstance(leaf, jax.Array) else leaf, params)
    # Kept: hyperparameters may be changed before the next call, but the fitted parameters belong to these.
    self._fitted_learner = learner


def effect_rows(self: EffectEstimator, design: EffectDesign) -> meta.EffectRows:
    """The data of a fit as the functional cores take them, all rows with weight one."""
    x, xw, t, y = (jnp.asarray(a) for a in (design.x, design.xw, design.t, design.y))
    return meta.EffectRows(x, xw, t, y, jnp.ones_like(y), jnp.asarray(self.folds_))


def predict_effects(self: EffectEstimator, X: Any = None) -> np.ndarray:
    """Expected effect at each row of ``X`` (m,); at the rows of ``fit`` by default."""
    x = self.design_.rows_of(X)
    with self._computing():
        return np.asarray(call(_predict, {"learner": self._fitted_learner}, params=self.params_, x=jnp.asarray(x)))


def predict_intervals(  # noqa: D417
    self: EffectEstimator, X: Any = None, alpha: float = 0.05, *, kind: Kind = "bootstrap", draws: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """Ends (m,), (m,) of an interval at each row of ``X``; at the rows of ``fit`` by default.

    Args:
        X: Covariates (m, d).
        alpha: One minus the level.
        kind: ``"bootstrap"`` is about the expected effect ``tau(x)``: the estimate plus and minus a normal quantile
            times the standard deviation over refits. The bias of a penalized or misspecified regression is not in it,
            and its coverage of the true ``tau(x)`` is then below the level. ``"conformal"`` is about a new unit's
            own effect ``Y(1) - Y(0)`` and covers it, averaged over units, whatever the outcome regression; it is
            much wider. docs/methods/treatment-effects.md reports the measured coverage of both.
        draws: Number of bootstrap samples.

    Raises:
        InputError: If an argument is wrong, or ``kind="conformal"`` after a fit with ``W``.
    """
    x = self.design_.rows_of(X)
    alpha = check_range("alpha", alpha, above=0, below=1)
    check_choice("kind", kind, get_args(Kind))
    design, key = self.design_, derive(root(self.seed), kind)
    if kind == "conformal" and design.xw.shape[1] > design.x.shape[1]:
        raise InputError("kind", found="'conformal' after a fit with W", expected="all covariates in X")
    with self._computing():
        rows, new = effect_rows(self, design), jnp.asarray(x)
        if kind == "conformal":
            static = {
                "outcome": as_learner("outcome", self.outcome),
                "propensity": as_learner("propensity", self.propensity),
                "clip": self.clip,
            }
            low, high = call(conformal_effects, static, key=key, data=rows, x=new, alpha=jnp.asarray(alpha))
            return np.asarray(low), np.asarray(high)
        check_count("draws", draws, at_least=2)
        static = {"learner": self._fitted_learner, "draws": int(draws)}
        effects = np.asarray(call(bootstrap_effects, static, key=key, data=rows, x=new))
    center, half = self.effect(x), stats.norm.isf(alpha / 2) * effects.std(axis=0, ddof=1)
    return center - half, center + half


def effect_fact(self: EffectEstimator) -> tuple[str, str]:
    """Mean and deciles of the estimated effects, for a summary."""
    effect = self.effect()
    low, median, high = np.quantile(effect, [0.1, 0.5, 0.9])
    return "effect(X)", f"mean {effect.mean():.4g}; deciles 1, 5, 9: {low:.4g}, {median:.4g}, {high:.4g}"


def learner_facts(self: EffectEstimator) -> list[tuple[str, str]]:
    """Facts of a summary: those of cross-fitting, and how far the effects spread."""
    return [*cross_fitting_facts(self), effect_fact(self)]


def learner_notes(self: EffectEstimator) -> list[str]:
    """Notes of a summary."""
    first = "ATE and ATT are doubly robust (cross-fitted AIPW), not means of effect(X)."
    return [first, *EffectEstimator._summary_notes(self)]


class SLearner(EffectEstimator):
    """One regression of the outcome on covariates and treatment; see :class:`~causalrep.effects.meta.S`.

    With a linear ``outcome`` the effect is the same for everyone. ``ate()`` and ``att()`` are doubly robust
    (cross-fitted AIPW with the same regressions), since the mean of ``effect(X)`` carries the bias of its penalty.

    Args:
        outcome: Regression of the outcome.
        propensity: Regression of the treatment.
        cv: Number of folds for cross-fitting.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
        seed: Random seed of the folds and the intervals.

    Attributes:
        params_: The fitted learner's parameters.
        nuisances_: Out-of-fold propensity and outcome regressions.
        scores_: The doubly robust scores (n,).
        folds_: Fold codes (n,).
    """

    _title = "S-learner"
    _regressions = ("outcome", "propensity")
    _domains = DOMAINS

    def __init__(self, *, outcome=RIDGE, propensity=LOGISTIC, cv=5, clip=CLIP, seed=0):
        self.outcome, self.propensity = outcome, propensity
        self.cv, self.clip, self.seed = cv, clip, seed

    def _learner(self) -> meta.S:
        return meta.S(as_learner("outcome", self.outcome))

    fit, effect, effect_interval = fit_learner, predict_effects, predict_intervals
    _estimate = estimate_effects
    _summary_facts, _summary_notes = learner_facts, learner_notes


class TLearner(EffectEstimator):
    """One regression of the outcome per arm; see :class:`~causalrep.effects.meta.T`.

    ``ate()`` and ``att()`` are doubly robust (cross-fitted AIPW with the same regressions), since the mean of
    ``effect(X)`` carries the bias of its penalty.

    Args:
        outcome: Regression of the outcome.
        propensity: Regression of the treatment.
        cv: Number of folds for cross-fitting.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
        seed: Random seed of the folds and the intervals.

    Attributes:
        params_: The fitted learner's parameters.
        nuisances_: Out-of-fold propensity and outcome regressions.
        scores_: The doubly robust scores (n,).
        folds_: Fold codes (n,).

    >>> from causalrep.effects import KernelRidge, TLearner
    >>> rng = np.random.default_rng(0)
    >>> x, noise, t = rng.uniform(-2, 2, 400), rng.normal(size=400), rng.integers(0, 2, 400)
    >>> model = TLearner(outcome=KernelRidge()).fit(x + t * np.sin(2 * x) + 0.2 * noise, t, X=x)
    >>> model.effect(np.array([-0.8, 0.8])).round(0).tolist()
    [-1.0, 1.0]
    """

    _title = "T-learner"
    _regressions = ("outcome", "propensity")
    _domains = DOMAINS

    def __init__(self, *, outcome=RIDGE, propensity=LOGISTIC, cv=5, clip=CLIP, seed=0):
        self.outcome, self.propensity = outcome, propensity
        self.cv, self.clip, self.seed = cv, clip, seed

    def _learner(self) -> meta.T:
        return meta.T(as_learner("outcome", self.outcome))

    fit, effect, effect_interval = fit_learner, predict_effects, predict_intervals
    _estimate = estimate_effects
    _summary_facts, _summary_notes = learner_facts, learner_notes


class XLearner(EffectEstimator):
    """Imputed effects regressed within each arm, mixed by the propensity; see :class:`~causalrep.effects.meta.X`.

    Made for arms of very different size. ``ate()`` and ``att()`` are doubly robust (cross-fitted AIPW).

    Args:
        outcome: Regression of the outcome.
        effect_model: Regression of the effect on ``X``.
        propensity: Regression of the treatment.
        cv: Number of folds for cross-fitting.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
        seed: Random seed of the folds and the intervals.

    Attributes:
        params_: The fitted learner's parameters.
        nuisances_: Out-of-fold propensity and outcome regressions.
        scores_: The doubly robust scores (n,).
        folds_: Fold codes (n,).
    """

    _title = "X-learner"
    _regressions = ("outcome", "effect_model", "propensity")
    _domains = DOMAINS | {"effect_model": Regression(effects=True)}

    def __init__(self, *, outcome=RIDGE, effect_model=RIDGE, propensity=LOGISTIC, cv=5, clip=CLIP, seed=0):
        self.outcome, self.effect_model, self.propensity = outcome, effect_model, propensity
        self.cv, self.clip, self.seed = cv, clip, seed

    def _learner(self) -> meta.X:
        return meta.X(*regressions(self))

    fit, effect, effect_interval = fit_learner, predict_effects, predict_intervals
    _estimate = estimate_effects
    _summary_facts, _summary_notes = learner_facts, learner_notes


class RLearner(EffectEstimator):
    """Outcome residuals regressed on treatment residuals, cross-fitted; see :class:`~causalrep.effects.meta.R`.

    ``ate()`` and ``att()`` are doubly robust (cross-fitted AIPW).

    Args:
        outcome: Regression of the outcome.
        effect_model: Regression of the effect on ``X``.
        propensity: Regression of the treatment.
        cv: Number of folds for cross-fitting.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
        seed: Random seed of the folds and the intervals.

    Attributes:
        params_: The fitted learner's parameters.
        nuisances_: Out-of-fold propensity and outcome regressions.
        scores_: The doubly robust scores (n,).
        folds_: Fold codes (n,).
    """

    _title = "R-learner"
    _regressions = ("outcome", "effect_model", "propensity")
    _domains = DOMAINS | {"effect_model": Regression(effects=True)}
    _takes_controls = True

    def __init__(self, *, outcome=RIDGE, effect_model=RIDGE, propensity=LOGISTIC, cv=5, clip=CLIP, seed=0):
        self.outcome, self.effect_model, self.propensity = outcome, effect_model, propensity
        self.cv, self.clip, self.seed = cv, clip, seed

    def _learner(self) -> meta.R:
        outcome, effect, propensity = regressions(self)
        return meta.R(outcome, effect, propensity, n_folds=self._n_folds, clip=self.clip)

    fit, effect, effect_interval = fit_learner, predict_effects, predict_intervals
    _estimate = estimate_effects
    _summary_facts, _summary_notes = learner_facts, learner_notes


class DRLearner(EffectEstimator):
    """Doubly robust scores regressed on ``X``, cross-fitted; see :class:`~causalrep.effects.meta.DR`.

    The scores are heavy-tailed where overlap is poor: prefer a strongly regularized ``effect_model`` there. ``ate()``
    and ``att()`` are averages of the same scores.

    Args:
        outcome: Regression of the outcome.
        effect_model: Regression of the effect on ``X``.
        propensity: Regression of the treatment.
        cv: Number of folds for cross-fitting.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
        seed: Random seed of the folds and the intervals.

    Attributes:
        params_: The fitted learner's parameters.
        nuisances_: Out-of-fold propensity and outcome regressions.
        scores_: The doubly robust scores (n,).
        folds_: Fold codes (n,).
    """

    _title = "DR-learner"
    _regressions = ("outcome", "effect_model", "propensity")
    _domains = DOMAINS | {"effect_model": Regression(effects=True)}
    _takes_controls = True

    def __init__(self, *, outcome=RIDGE, effect_model=RIDGE, propensity=LOGISTIC, cv=5, clip=CLIP, seed=0):
        self.outcome, self.effect_model, self.propensity = outcome, effect_model, propensity
        self.cv, self.clip, self.seed = cv, clip, seed

    def _learner(self) -> meta.DR:
        outcome, effect, propensity = regressions(self)
        return meta.DR(outcome, effect, propensity, n_folds=self._n_folds, clip=self.clip)

    fit, effect, effect_interval = fit_learner, predict_effects, predict_intervals
    _estimate = estimate_effects
    _summary_facts, _summary_notes = learner_facts, learner_notes


def _fit(learner: meta.MetaLearner, data: meta.EffectRows) -> Any:
    return learner.fit(data)


def _fit_given(learner: meta.R | meta.DR, data: meta.EffectRows, nuisances: Nuisances) -> Any:
    return learner.fit_given(data, nuisances)


def _predict(learner: meta.MetaLearner, params: Any, x: jax.Array) -> jax.Array:
    return learner.predict(params, x)
