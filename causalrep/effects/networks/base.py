"""What the networks' estimators share: one network for ``effect``, cross-fitted ones for the averages, intervals."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from causalrep.base.validation import check_choice, check_counts, check_range
from causalrep.effects.base import EffectEstimator, check_overlap
from causalrep.effects.checks.overlap import OverlapReport, overlap_report
from causalrep.effects.design import EffectDesign
from causalrep.effects.intervals import conformal_effects
from causalrep.effects.learners import MetaEstimator
from causalrep.effects.meta import EffectRows
from causalrep.effects.networks.crossfit import cross_fit_outcomes
from causalrep.effects.networks.fitting import NetworkFit
from causalrep.effects.networks.learner import NetworkLearner
from causalrep.effects.regressions.host import as_learner, call
from causalrep.effects.scores import Average, Nuisances, aipw_ate, aipw_att, aipw_scores
from causalrep.errors import DivergenceError, InputError, NoIntervalError
from causalrep.inference.crossfit import cross_fit, stratified_folds
from causalrep.keys import root
from causalrep.precision import float64

_LAZY = ("ate_", "att_", "nuisances_", "scores_")


class NeuralEffectEstimator(MetaEstimator):
    """Base of the networks for ``tau(x)``.

    ``effect(X)`` is one network's, fitted to all rows. ``ate()`` and ``att()``, with their intervals, are doubly
    robust: cross-fitted AIPW with the same network for the outcomes and ``propensity`` for the treatment. Those ``cv``
    further networks are trained when an average is first asked for, so ``fit`` costs one. Different seeds give effects
    that differ by a tenth and more: fit several.

    A subclass supplies ``_core()``.

    Attributes:
        params_: The trained network (:class:`~causalrep.effects.networks.NetworkFit`).
        propensity_: Out-of-fold propensities (n,).
        nuisances_: These, and the out-of-fold outcomes; made with ``ate_`` and ``att_``.
        scores_: The doubly robust scores (n,).
        folds_: Fold codes (n,).
    """

    def _core(self) -> NetworkLearner:
        """The functional core, with this estimator's hyperparameters."""
        raise TypeError(f"{type(self).__name__} must define _core()")

    def _learner(self) -> NetworkLearner:
        return self._core()

    def _estimate(self, design: EffectDesign) -> None:
        for name in _LAZY:
            self.__dict__.pop(name, None)
        learner, t = self._core(), jnp.asarray(design.t)
        if design.folds is None:
            folds, n_folds = stratified_folds(root(self.seed), t, self.cv), self.cv
        else:
            folds, n_folds = jnp.asarray(design.folds), int(design.folds.max()) + 1
        self.folds_, self._n_folds = np.asarray(folds), n_folds
        rows, propensity = self._rows(design), as_learner("propensity", self.propensity)
        static = {"learner": propensity, "n_folds": n_folds}
        e = call(cross_fit, static, x=rows.x, y=rows.t, w=rows.w, folds=rows.folds)
        self.propensity_ = np.asarray(e)
        check_overlap(self.propensity_, design.t, self.clip)
        found = call(_fit, {"learner": learner}, data=rows, key=self._key(0))
        self._check_converged(found.diverged, found.first_bad_step)
        self.params_ = jax.tree.map(np.asarray, found)
        # Kept: hyperparameters may be changed before the next call, fitted parameters belong to these.
        self._fitted_learner, self._fitted_clip = learner, self.clip
        self._fitted_propensity = propensity

    def __getattr__(self, name: str) -> Any:
        if name in _LAZY and "params_" in self.__dict__:
            self._average()
            return self.__dict__[name]
        return super().__getattr__(name)

    def _average(self) -> None:
        design, clip = self.design_, self._fitted_clip
        size = len(design.y) - int(np.bincount(self.folds_).min())
        with float64():
            rows = self._rows(design)
            static = {"learner": self._fitted_learner, "n_folds": self._n_folds, "training_rows": size}
            mu0, mu1, diverged = call(cross_fit_outcomes, static, data=rows, key=self._key(1))
            self._check_converged(diverged, -1)
            nuisances = Nuisances(jnp.asarray(self.propensity_), mu0, mu1)
            ate = aipw_ate(rows.t, rows.y, rows.w, nuisances, clip)
            att = aipw_att(rows.t, rows.y, rows.w, nuisances, clip)
            self.scores_ = np.asarray(aipw_scores(rows.t, rows.y, nuisances, clip))
        self.nuisances_ = Nuisances(*map(np.asarray, nuisances))
        self.ate_, self.att_ = (Average(*map(np.asarray, average)) for average in (ate, att))

    def effect_interval(
        self, X: Any = None, alpha: float = 0.05, *, kind: Literal["conformal"] = "conformal"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ends (m,), (m,) of an interval of a unit's own effect at each row of ``X``; at those of ``fit`` by default.

        Args:
            X: Covariates (m, d).
            alpha: 1 - level.
            kind: ``"conformal"`` covers ``Y(1) - Y(0)`` of a new unit, averaged over units, whatever the network, if
                the propensity is right. It refits the network to half of the rows and is wide: the effect *expected*
                at x has no valid interval here.

        Raises:
            InputError: If an argument is wrong.
            NoIntervalError: For ``kind="bootstrap"``; the message says why.
        """
        x = self._new_rows(X)
        alpha = check_range("alpha", alpha, above=0, below=1)
        check_choice("kind", kind, ("conformal", "bootstrap"))
        if kind == "bootstrap":
            raise NoIntervalError(
                f"{type(self).__name__} has no bootstrap interval: early stopping and penalties leave a bias of "
                "unknown size in tau(x), which resampling does not show. kind='conformal' covers a unit's own effect."
            )
        static = {"outcome": self._fitted_learner, "propensity": self._fitted_propensity, "clip": self._fitted_clip}
        with float64():
            arrays = {"data": self._rows(self.design_), "x": jnp.asarray(x), "alpha": jnp.asarray(alpha)}
            low, high = call(conformal_effects, static, key=self._key(2), **arrays)
            return np.asarray(low), np.asarray(high)

    def overlap(self) -> OverlapReport:
        """Propensities by arm, effective sample sizes, and who to trim; see :class:`OverlapReport`."""
        return overlap_report(self.propensity_, self.design_.t)

    def _balancing_weights(self) -> np.ndarray:
        e, t = np.clip(self.propensity_, self._fitted_clip, 1 - self._fitted_clip), self.design_.t
        return t / e + (1 - t) / (1 - e)

    def _key(self, purpose: int) -> Key[Array, ""]:
        return jax.random.fold_in(root(self.seed), purpose)

    def _check_converged(self, diverged: Array, step: int | Array) -> None:
        if bool(diverged):
            raise DivergenceError(
                f"{self!r}: a loss or gradient was not finite. Lower the learning rate, or look for extreme values in "
                "the data.",
                step=int(step),
            )

    def _check_hyperparameters(self) -> None:
        check_counts(cv=self.cv, batch_size=self.batch_size)
        check_range("cv", self.cv, at_least=2)
        check_range("clip", self.clip, at_least=0, below=0.5)
        check_range("validation_share", self.validation_share, above=0, at_most=0.9)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int | np.integer):
            raise InputError("seed", found=repr(self.seed), expected="a whole number")
        as_learner("propensity", self.propensity)

    def _summary_facts(self) -> list[tuple[str, str]]:
        found = self.effect()
        low, median, high = np.quantile(found, [0.1, 0.5, 0.9])
        e = self.propensity_
        outside = np.mean((e < self._fitted_clip) | (e > 1 - self._fitted_clip))
        return [
            *EffectEstimator._summary_facts(self),
            ("Network", f"best after {int(self.params_.best_step)} updates, validation loss {self.params_.loss:.4g}"),
            ("Propensity model", f"{self._fitted_propensity!r}"),
            ("Cross-fitting", f"{self._n_folds} folds"),
            ("Propensities", f"{e.min():.3g} to {e.max():.3g}, {100 * outside:.1f}% clipped at {self._fitted_clip:g}"),
            ("effect(X)", f"mean {found.mean():.4g}; deciles 1, 5, 9: {low:.4g}, {median:.4g}, {high:.4g}"),
        ]


def _fit(learner: NetworkLearner, data: EffectRows, key: Key[Array, ""]) -> NetworkFit:
    return learner.fit(data, key)
