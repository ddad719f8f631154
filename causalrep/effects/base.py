"""What the effect estimators share: ``fit``, averages with intervals, ``summary``.

An estimator subclasses :class:`EffectEstimator` and supplies ``_estimate(design)``, which sets ``ate_`` and ``att_``.
"""

import warnings
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import stats

from causalrep.base.estimator import Estimator
from causalrep.base.summary import Summary
from causalrep.base.validation import check_range
from causalrep.effects.checks.balance import BalanceTable, balance_table
from causalrep.effects.checks.overlap import OverlapReport, overlap_report
from causalrep.effects.design import EffectDesign, make_effect_design
from causalrep.effects.regressions.host import as_learner, call
from causalrep.effects.regressions.linear import LOGISTIC, RIDGE
from causalrep.effects.scores import (
    CLIP,
    Average,
    Nuisances,
    aipw_ate,
    aipw_att,
    aipw_scores,
    clipped,
    cross_fit_nuisances,
)
from causalrep.errors import InputError, OverlapWarning
from causalrep.inference.crossfit import stratified_folds
from causalrep.keys import root
from causalrep.precision import float64

# Arms count as separated if the propensity orders more than this share of the pairs of treated and untreated.
SEPARATED = 0.999


class EffectEstimator(Estimator):
    """Base of the effect estimators; see a subclass for use.

    Attributes:
        ate_: The average effect, its standard error and influence function (:class:`Average`).
        att_: The same for the average effect on the treated.
        design_: The checked data.
        n_obs_: n.
    """

    _title = "Effect estimator"
    _rows_per_arm = 2

    def fit(self, Y: Any, T: Any, *, X: Any = None, W: Any = None) -> Self:
        """Estimate the effect of a binary treatment.

        Args:
            Y: Outcome (n,): array, Series or one-column frame.
            T: Treatment (n,), 0 or 1.
            X: Covariates to adjust for (n, d), along which the effect may differ.
            W: Further covariates to adjust for (n, q).

        Returns:
            The estimator itself.

        Raises:
            InputError: If an argument is wrong; the message names it, what was found and what was expected.
        """
        return self._fit(make_effect_design(Y, T, X, W, rows_per_arm=self._rows_per_arm))

    def _fit(self, design: EffectDesign) -> Self:
        with float64():
            self._estimate(design)
        self.design_, self.n_obs_ = design, len(design.y)
        return self

    def _estimate(self, design: EffectDesign) -> None:
        """The one method a subclass supplies: sets ``ate_`` and ``att_`` from checked data, in float64."""
        raise TypeError(f"{type(self).__name__} must define _estimate(design)")

    # ---------------------------------------------------------------- averages

    def ate(self) -> float:
        """Average effect, ``E[Y(1) - Y(0)]``."""
        return float(self.ate_.value)

    def att(self) -> float:
        """Average effect on the treated, ``E[Y(1) - Y(0) | T = 1]``."""
        return float(self.att_.value)

    def ate_interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Interval of :meth:`ate` at level ``1 - alpha``."""
        return self._interval(self.ate_, alpha)

    def att_interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Interval of :meth:`att` at level ``1 - alpha``."""
        return self._interval(self.att_, alpha)

    def _interval(self, average: Average, alpha: float) -> tuple[float, float]:
        alpha = check_range("alpha", alpha, above=0, below=1)
        half = float(stats.norm.isf(alpha / 2)) * float(average.se)
        return float(average.value) - half, float(average.value) + half

    # ---------------------------------------------------------------- reports

    def balance(self) -> BalanceTable:
        """How far apart the arms' covariates are, before and after weighting; see :class:`BalanceTable`."""
        design = self.design_
        return balance_table(design.z, design.t, self._balancing_weights(), names=design.covariates)

    def _balancing_weights(self) -> np.ndarray | None:
        return None

    def summary(self, alpha: float = 0.05) -> Summary:
        """Averages with intervals, the facts of the fit and the assumptions it rests on."""
        rows = {"ATE": self.ate_, "ATT": self.att_}
        table = pd.DataFrame({"estimate": {name: float(found.value) for name, found in rows.items()}})
        for name, found in rows.items():
            low, high = self._interval(found, alpha)
            z = float(found.value) / float(found.se)
            values = [float(found.se), z, 2 * float(stats.norm.sf(abs(z))), low, high]
            columns = ["std err", "z", "P>|z|", f"[{alpha / 2:g}", f"{1 - alpha / 2:g}]"]
            table.loc[name, columns] = values
        return Summary(self._title, self._summary_facts(), table, self._summary_notes())

    def _summary_facts(self) -> list[tuple[str, str]]:
        design = self.design_
        treated = int(design.t.sum())
        return [
            ("Outcome", design.outcome),
            ("Treatment", design.treatment),
            ("Rows", f"{self.n_obs_} ({treated} treated, {self.n_obs_ - treated} untreated)"),
            ("Covariates", f"{len(design.covariates)}"),
        ]

    def _summary_notes(self) -> list[str]:
        return [
            "Causal under unconfoundedness (no unobserved variable moves both treatment and outcome given the "
            "covariates) and overlap (no covariates that decide the treatment). The data cannot show the first: see "
            "causalrep.effects.checks.sensitivity.",
        ]


class CrossFitted(EffectEstimator):
    """Base of the estimators whose averages are doubly robust: cross-fitted AIPW.

    Args:
        outcome: Regression of the outcome: ``Ridge()``, ``KernelRidge()``, ``Logistic()`` for a binary outcome, or any
            scikit-learn estimator.
        propensity: Regression of the treatment.
        cv: Folds of cross-fitting, drawn within the arms.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
        seed: Of the folds and of intervals that draw at random.

    Attributes:
        nuisances_: Out-of-fold propensity and outcome regressions (:class:`Nuisances`).
        scores_: The doubly robust scores, whose mean is the average effect (n,).
        folds_: Fold codes (n,).
    """

    def __init__(self, *, outcome=RIDGE, propensity=LOGISTIC, cv=5, clip=CLIP, seed=0):
        self.outcome = outcome
        self.propensity = propensity
        self.cv = cv
        self.clip = clip
        self.seed = seed

    def fit(self, Y: Any, T: Any, *, X: Any = None, W: Any = None, folds: Any = None) -> Self:
        """Estimate the effect of a binary treatment.

        Args:
            Y: Outcome (n,): array, Series or one-column frame.
            T: Treatment (n,), 0 or 1.
            X: Covariates to adjust for (n, d), along which the effect may differ.
            W: Further covariates to adjust for (n, q).
            folds: Fold labels (n,) to use instead of random ones.

        Raises:
            InputError: If an argument is wrong, or the arms do not overlap at all.

        Warns:
            OverlapWarning: If some propensities had to be clipped; the message gives the share.
        """
        self._check_hyperparameters()
        return self._fit(make_effect_design(Y, T, X, W, folds, rows_per_arm=2 * self.cv))

    def _estimate(self, design: EffectDesign) -> None:
        z, t, y = (jnp.asarray(a) for a in (design.z, design.t, design.y))
        if design.folds is None:
            folds, n_folds = stratified_folds(root(self.seed), t, self.cv), self.cv
        else:
            folds, n_folds = jnp.asarray(design.folds), int(design.folds.max()) + 1
        outcome, propensity = as_learner("outcome", self.outcome), as_learner("propensity", self.propensity)
        nuisances = call(
            cross_fit_nuisances,
            {"outcome": outcome, "propensity": propensity, "n_folds": n_folds},
            x=z,
            t=t,
            y=y,
            w=jnp.ones_like(y),
            folds=folds,
        )
        self._store(design, nuisances)
        self.folds_, self._n_folds = np.asarray(folds), n_folds

    def _store(self, design: EffectDesign, nuisances: Nuisances) -> None:
        self.nuisances_ = Nuisances(*(np.asarray(a) for a in nuisances))
        check_overlap(self.nuisances_.propensity, design.t, self.clip)
        t, y, w = jnp.asarray(design.t), jnp.asarray(design.y), jnp.ones(len(design.y))
        self.scores_ = np.asarray(aipw_scores(t, y, nuisances, self.clip))
        self.ate_ = jax.tree.map(np.asarray, aipw_ate(t, y, w, nuisances, self.clip))
        self.att_ = jax.tree.map(np.asarray, aipw_att(t, y, w, nuisances, self.clip))

    def overlap(self) -> OverlapReport:
        """Propensities by arm, effective sample sizes, and who to trim; see :class:`OverlapReport`."""
        return overlap_report(self.nuisances_.propensity, self.design_.t)

    def _balancing_weights(self) -> np.ndarray:
        e, t = np.asarray(clipped(self.nuisances_.propensity, self.clip)), self.design_.t
        return t / e + (1 - t) / (1 - e)

    def _summary_facts(self) -> list[tuple[str, str]]:
        e = self.nuisances_.propensity
        outside = np.mean((e < self.clip) | (e > 1 - self.clip))
        return [
            *super()._summary_facts(),
            ("Outcome model", f"{self.outcome!r}"),
            ("Propensity model", f"{self.propensity!r}"),
            ("Cross-fitting", f"{self._n_folds} folds"),
            ("Propensities", f"{e.min():.3g} to {e.max():.3g}, {100 * outside:.1f}% clipped at {self.clip:g}"),
        ]

    def _check_hyperparameters(self) -> None:
        for name in ("cv", "seed"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise InputError(name, found=repr(value), expected="a whole number")
        check_range("cv", self.cv, at_least=2)
        check_range("clip", self.clip, at_least=0, below=0.5)
        as_learner("outcome", self.outcome), as_learner("propensity", self.propensity)


class AIPW(CrossFitted):
    """Augmented inverse propensity weighting: the doubly robust average effect, cross-fitted.

    Consistent if either the outcome regression or the propensity is; its interval holds if both are, at slow rates.
    See :class:`CrossFitted` for the arguments and fitted attributes. The same as the "interactive regression model"
    of double machine learning.

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


def check_overlap(e: np.ndarray, t: np.ndarray, clip: float, *, consequence: str = "and were clipped") -> None:
    """Warn with the share of propensities outside [clip, 1 - clip]; refuse arms that the covariates separate."""
    outside = (e < clip) | (e > 1 - clip)
    ranks, treated = stats.rankdata(e), t == 1
    n1, n0 = treated.sum(), (~treated).sum()
    # The area under the ROC curve. Cross-fitted models differ a little between folds, hence not exactly 1.
    ordered = (ranks[treated].sum() - n1 * (n1 + 1) / 2) / (n1 * n0)
    if outside.all() or ordered > SEPARATED:
        raise InputError(
            "T",
            found="no overlap: the covariates separate treated from untreated "
            f"(a treated row has the higher propensity in {100 * ordered:.4g}% of all pairs)",
            expected="covariates at which both treatments occur (drop those that decide the treatment, or the rows "
            "for which there is no comparison)",
        )
    if outside.any():
        warnings.warn(
            f"{outside.sum():,} of {len(outside):,} rows ({100 * outside.mean():.2g}%) have an estimated propensity "
            f"outside [{clip:g}, {1 - clip:g}] "
            f"{consequence}: for them there is hardly a comparison. See overlap(), and consider trimming.",
            OverlapWarning,
            stacklevel=5,
        )
