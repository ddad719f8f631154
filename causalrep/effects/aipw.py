"""Augmented inverse propensity weighting, and the cross-fitted averages that the learners of ``tau(x)`` share with it.

The scores and their averages as pure functions are in :mod:`causalrep.effects.scores`.
"""

from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from causalrep.base.domains import Domain, Real, Whole
from causalrep.effects.base import EffectEstimator
from causalrep.effects.checks.overlap import check_overlap
from causalrep.effects.design import EffectDesign, make_effect_design
from causalrep.effects.regressions.host import Regression, as_learner, call, check_classes
from causalrep.effects.regressions.linear import LOGISTIC, RIDGE
from causalrep.effects.scores import CLIP, Nuisances, aipw_ate, aipw_att, aipw_scores, cross_fit_nuisances
from causalrep.inference.crossfit import Learner, stratified_folds
from causalrep.keys import root

_LABELS = {"outcome": "Outcome model", "effect_model": "Effect model", "propensity": "Propensity model"}
# Domains of the hyperparameters that the cross-fitted estimators share, and of those of the learners of tau(x).
CROSS_FITTING: dict[str, Domain] = {
    "propensity": Regression(),
    "cv": Whole(2),
    "clip": Real(at_least=0, below=0.5),
    "seed": Whole(None),
}
DOMAINS: dict[str, Domain] = {"outcome": Regression()} | CROSS_FITTING


def regressions(estimator: EffectEstimator) -> list[Learner]:
    """The estimator's regressions as learners, in the order of ``_regressions``."""
    return [as_learner(name, getattr(estimator, name)) for name in estimator._regressions]


def draw_folds(estimator: EffectEstimator, design: EffectDesign) -> None:
    """Set ``folds_`` and their number: the user's own, or ``cv`` random ones within the arms."""
    if design.folds is None:
        folds = stratified_folds(root(estimator.seed), jnp.asarray(design.t), estimator.cv)
        estimator.folds_, estimator._n_folds = np.asarray(folds), estimator.cv
    else:
        estimator.folds_, estimator._n_folds = design.folds, int(design.folds.max()) + 1


def estimate_averages(estimator: EffectEstimator, design: EffectDesign) -> None:
    """Set all fitted attributes of :class:`AIPW`: folds, nuisances, scores and averages."""
    check_classes(as_learner("outcome", estimator.outcome), design.y)
    draw_folds(estimator, design)
    nuisances = call(
        cross_fit_nuisances,
        {
            "outcome": as_learner("outcome", estimator.outcome),
            "propensity": as_learner("propensity", estimator.propensity),
            "n_folds": estimator._n_folds,
        },
        x=jnp.asarray(design.xw),
        t=jnp.asarray(design.t),
        y=jnp.asarray(design.y),
        w=jnp.ones(len(design.y)),
        folds=jnp.asarray(estimator.folds_),
    )
    estimator.propensity_, estimator._clip = np.asarray(nuisances.propensity), estimator.clip
    check_overlap(estimator.propensity_, design.t, estimator.clip)
    store_averages(estimator, design, nuisances)


def store_averages(estimator: EffectEstimator, design: EffectDesign, nuisances: Nuisances) -> None:
    """Set ``nuisances_``, ``scores_``, ``ate_`` and ``att_`` from out-of-fold nuisances."""
    t, y, w, clip = jnp.asarray(design.t), jnp.asarray(design.y), jnp.ones(len(design.y)), estimator._clip
    # NumPy arrays keep float64 when pickled and read back under JAX's default precision.
    estimator.nuisances_ = jax.tree.map(np.asarray, nuisances)
    estimator.scores_ = np.asarray(aipw_scores(t, y, nuisances, clip))
    estimator.ate_ = jax.tree.map(np.asarray, aipw_ate(t, y, w, nuisances, clip))
    estimator.att_ = jax.tree.map(np.asarray, aipw_att(t, y, w, nuisances, clip))


def cross_fitting_facts(estimator: EffectEstimator) -> list[tuple[str, str]]:
    """Facts of a summary: the data, the regressions, the folds and the propensities."""
    return [
        *EffectEstimator._summary_facts(estimator),
        *((_LABELS[name], repr(getattr(estimator, name))) for name in estimator._regressions),
        ("Cross-fitting", f"{estimator._n_folds} folds"),
        estimator._propensity_fact(),
    ]


class AIPW(EffectEstimator):
    """Augmented inverse propensity weighting: the doubly robust average effect, cross-fitted.

    Consistent if either the outcome regression or the propensity is; the interval is valid if both are consistent, and
    slow rates suffice. The same as the "interactive regression model" of double machine learning.

    Args:
        outcome: Regression of the outcome: ``Ridge()``, ``KernelRidge()``, ``Logistic()`` for a binary outcome, or any
            scikit-learn estimator.
        propensity: Regression of the treatment.
        cv: Number of folds for cross-fitting, drawn within the arms.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
        seed: Random seed of the folds.

    Attributes:
        nuisances_: Out-of-fold propensity and outcome regressions (:class:`Nuisances`).
        propensity_: Out-of-fold propensities (n,).
        scores_: The doubly robust scores, whose mean is the average effect (n,).
        folds_: Fold codes (n,).

    Source: Robins, Rotnitzky and Zhao (1994), JASA 89(427); Chernozhukov et al. (2018), Econometrics Journal 21.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, noise, u = rng.normal(size=(2000, 3)), rng.normal(size=2000), rng.uniform(size=2000)
    >>> t = (u < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    >>> low, high = AIPW().fit(t + 2 * x[:, 0] + noise, t, X=x).ate_interval()
    >>> bool(low < 1 < high)
    True
    """

    _title = "Augmented inverse propensity weighting (AIPW)"
    _regressions = ("outcome", "propensity")
    _domains = DOMAINS

    def __init__(self, *, outcome=RIDGE, propensity=LOGISTIC, cv=5, clip=CLIP, seed=0):
        self.outcome, self.propensity = outcome, propensity
        self.cv, self.clip, self.seed = cv, clip, seed

    def fit(self, Y: Any, T: Any, *, X: Any = None, W: Any = None, folds: Any = None) -> Self:
        """Estimate the effect of a binary treatment.

        Args:
            Y: Outcome (n,): array, Series or one-column frame.
            T: Treatment (n,), 0 or 1.
            X: Covariates to adjust for (n, d).
            W: Further covariates to adjust for (n, q).
            folds: Fold labels (n,) to use instead of random ones.

        Raises:
            InputError: If an argument is wrong, or the arms do not overlap at all.

        Warns:
            OverlapWarning: If some propensities had to be clipped; the message gives the share.
        """
        self._check_domains()
        return self._fit(make_effect_design(Y, T, X, W, folds, rows_per_arm=2 * self.cv))

    _estimate = estimate_averages
    _summary_facts = cross_fitting_facts
