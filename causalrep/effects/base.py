"""The base of all effect estimators: ``fit``, averages with intervals, overlap, balance and ``summary``.

Every estimator is a final class below :class:`EffectEstimator` that supplies ``_estimate(design)``. What some of them
share beyond that are functions, which a class takes over under the name of a method: cross-fitted averages in
:mod:`causalrep.effects.aipw`, effects given covariates in :mod:`causalrep.effects.learners`, networks in
:mod:`causalrep.effects.networks.estimation`.
"""

from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from scipy import stats

from causalrep.base.estimator import Estimator
from causalrep.base.summary import Summary, z_value
from causalrep.base.validation import check_range
from causalrep.effects.checks.balance import BalanceTable, balance_table
from causalrep.effects.checks.overlap import OverlapReport, overlap_report
from causalrep.effects.design import EffectDesign, make_effect_design
from causalrep.effects.scores import Average
from causalrep.errors import CausalrepError


class EffectEstimator(Estimator):
    """Base of the effect estimators; see a subclass for use.

    Attributes:
        ate_: The average effect, its standard error and influence function (:class:`Average`).
        att_: The same for the average effect on the treated.
        propensity_: Estimated propensities (n,), if the estimator estimates them.
        design_: The checked data.
        n_obs_: Number of rows.
    """

    _title: ClassVar[str] = "Effect estimator"
    _rows_per_arm: ClassVar[int] = 2
    # Hyperparameters that are regressions, in the order in which the functional cores take them.
    _regressions: ClassVar[tuple[str, ...]] = ()

    # Set by ``_estimate``, each by the estimators that have it.
    ate_: Any
    att_: Any
    propensity_: Any
    nuisances_: Any
    scores_: Any
    folds_: Any
    params_: Any
    _n_folds: int
    _clip: float
    _fitted_learner: Any
    _fitted_propensity: Any

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
        self._check_domains()
        return self._fit(make_effect_design(Y, T, X, W, rows_per_arm=self._rows_per_arm))

    def _fit(self, design: EffectDesign) -> Self:
        with self._computing():
            self._estimate(design)
        self.design_, self.n_obs_ = design, len(design.y)
        return self

    def _estimate(self, design: EffectDesign) -> None:
        """The one method a subclass must supply: it sets ``ate_`` and ``att_`` from checked data."""
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

    # ---------------------------------------------------------------- checks

    def overlap(self) -> OverlapReport:
        """Propensities by arm, effective sample sizes and a trimming rule; see :class:`OverlapReport`.

        Raises:
            CausalrepError: If the estimator estimates no propensity.
        """
        treated = self.design_.t
        if not hasattr(self, "propensity_"):
            raise CausalrepError(
                f"{type(self).__name__} estimates no propensity: use overlap_report(propensity, T) with one of yours."
            )
        return overlap_report(self.propensity_, treated)

    def balance(self) -> BalanceTable:
        """How far apart the arms' covariates are, before and after weighting; see :class:`BalanceTable`."""
        design = self.design_
        return balance_table(design.xw, design.t, self._balancing_weights(), names=design.covariates)

    def _balancing_weights(self) -> np.ndarray | None:
        """Inverse propensities of the treatment received, if the estimator estimates propensities."""
        if not hasattr(self, "propensity_"):
            return None
        e, t = np.clip(self.propensity_, self._clip, 1 - self._clip), self.design_.t
        return t / e + (1 - t) / (1 - e)

    # ---------------------------------------------------------------- reports

    def summary(self, alpha: float = 0.05) -> Summary:
        """Averages with intervals, the facts of the fit and the assumptions it rests on."""
        rows = {"ATE": self.ate_, "ATT": self.att_}
        table = pd.DataFrame({"estimate": {name: float(average.value) for name, average in rows.items()}})
        without_error: list[str] = []
        for name, average in rows.items():
            low, high = self._interval(average, alpha)
            z = z_value(float(average.value), float(average.se))
            if float(average.se) == 0:
                without_error.append(name)
            values = [float(average.se), z, 2 * float(stats.norm.sf(abs(z))), low, high]
            columns = ["std err", "z", "P>|z|", f"[{alpha / 2:g}", f"{1 - alpha / 2:g}]"]
            table.loc[name, columns] = values
        notes = self._summary_notes()
        if without_error:
            notes.append(
                f"The standard error of {' and '.join(without_error)} is 0: the rows show no variation from which an "
                "error could be estimated (no events, or an outcome that the treatment determines)."
            )
        return Summary(self._title, self._summary_facts(), table, notes)

    def _summary_facts(self) -> list[tuple[str, str]]:
        design = self.design_
        treated = int(design.t.sum())
        return [
            ("Outcome", design.outcome),
            ("Treatment", design.treatment),
            ("Rows", f"{self.n_obs_} ({treated} treated, {self.n_obs_ - treated} untreated)"),
            ("Covariates", f"{len(design.covariates)}"),
        ]

    def _propensity_fact(self) -> tuple[str, str]:
        e, clip = self.propensity_, self._clip
        outside = np.mean((e < clip) | (e > 1 - clip))
        return "Propensities", f"{e.min():.3g} to {e.max():.3g}, {100 * outside:.1f}% clipped at {clip:g}"

    def _summary_notes(self) -> list[str]:
        return [
            "Causal under unconfoundedness (no unobserved variable affects both treatment and outcome given the "
            "covariates) and overlap (no covariates determine the treatment). The data cannot show the first: see "
            "causalrep.effects.checks.sensitivity.",
        ]
