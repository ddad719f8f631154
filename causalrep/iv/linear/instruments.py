"""Reports on the instruments of a fitted estimator: strength, tests, and weak-instrument-robust sets.

A thin layer over :mod:`causalrep.iv.diagnostics` and :mod:`causalrep.iv.weak`; summaries print part of it.
"""

import warnings
from typing import Any

import pandas as pd

from causalrep.base.validation import check_choice
from causalrep.errors import InputError, WeakInstrumentWarning
from causalrep.inference.sandwich import MOMENT_KINDS
from causalrep.iv.design import Design, evaluate
from causalrep.iv.diagnostics import endogeneity, first_stage, overidentification
from causalrep.iv.distributions import TestResult
from causalrep.iv.system import System
from causalrep.iv.weak.confidence_set import ConfidenceSet
from causalrep.iv.weak.sets import METHODS, invert_test

# Staiger and Stock (1997), for the bias of 2SLS; Lee et al. (2022), for the size of a 5% t test with one
# instrument.
WEAK_F = 10.0
T_RATIO_F = 104.7
# The tests in the order in which they are reported, and their null hypotheses.
NULLS = {
    "Cragg-Donald": "instruments do not identify",
    "Kleibergen-Paap LM": "instruments do not identify",
    "Sargan": "instruments are valid",
    "Basmann": "instruments are valid",
    "Hansen J": "instruments are valid",
    "Durbin": "treatments are exogenous",
    "Wu-Hausman": "treatments are exogenous",
    "Hausman, robust": "treatments are exogenous",
}


class InstrumentReports:
    """Methods of fitted estimators with instruments; they read ``design_`` and ``covariance``."""

    # The estimator that these methods belong to has these.
    design_: Design
    covariance: str

    def first_stage(self) -> pd.DataFrame:
        """Strength of the instruments, one row per treatment.

        Columns: the classical ``F`` and its ``p_value``; ``robust_F`` under the estimator's covariance (HC2
        and HC3 count as HC1); with one treatment ``effective_F`` (Montiel Olea and Pflueger 2013) and the
        ``critical_value`` above which the bias of 2SLS is below 10% of the worst case, at 5%; with more,
        ``conditional_F`` (Sanderson and Windmeijer 2016): the strength left for one treatment when the
        instruments have predicted the others.
        """
        design, kind = self._instrument_design(), self._instrument_covariance()
        rows = {}
        for j, name in enumerate(design.treatments):
            classical, robust, special = evaluate(_first_stage, design, covariance=kind, index=j)
            row = {"F": classical.statistic, "p_value": classical.p_value, "robust_F": robust.statistic}
            if len(design.treatments) == 1:
                critical = first_stage.effective_f_critical_value(special.effective_df)
                row |= {"effective_F": special.statistic, "critical_value": critical}
            else:
                row |= {"conditional_F": special.statistic}
            rows[name] = row
        return pd.DataFrame.from_dict(rows, orient="index")

    def diagnostics(self) -> pd.DataFrame:
        """Tests of the instruments: identification, overidentifying restrictions, endogeneity.

        One row per test with ``statistic``, ``p_value``, ``df_num`` and ``df_den`` (infinite for
        chi-squared), and the ``null`` hypothesis. Tests of overidentifying restrictions appear if there are
        more instruments than treatments.
        """
        results = evaluate(_tests, self._instrument_design(), covariance=self._instrument_covariance())
        # In the order of NULLS: the compiled program returns its results sorted by name.
        rows = {name: results[name]._asdict() | {"null": null} for name, null in NULLS.items() if name in results}
        return pd.DataFrame.from_dict(rows, orient="index")

    def confidence_set(
        self,
        method: str = "ar",
        *,
        treatment: str | int = 0,
        alpha: float = 0.05,
        covariance: str | None = None,
    ) -> ConfidenceSet:
        """A set that covers the coefficient of a treatment however weak the instruments are.

        Args:
            method: ``"ar"`` (Anderson-Rubin), ``"clr"`` (conditional likelihood ratio: the choice with more
                instruments than treatments), ``"lm"`` (Kleibergen) or ``"lr"`` (for comparison: not robust).
            treatment: Name or position.
            alpha: 1 - level.
            covariance: ``"homoskedastic"``, ``"HC0"``, ``"HC1"`` or ``"cluster"``; the estimator's if None.

        Raises:
            InputError: Wrong argument, or a combination the sets do not offer (robust with several
                treatments).
        """
        check_choice("method", method, tuple(METHODS))
        kind = self._instrument_covariance() if covariance is None else covariance
        if method == "lr" and covariance is None:
            kind = "homoskedastic"
        check_choice("covariance", kind, MOMENT_KINDS if method != "lr" else MOMENT_KINDS[:1])
        if kind == "cluster" and self.design_.clusters is None:
            raise InputError("covariance", found="'cluster'", expected="an estimator fitted with clusters")
        return invert_test(method, self._instrument_design(), treatment, alpha, kind)

    def _strength(self) -> tuple[float, str]:
        """The F statistic by which the instruments are judged, and its name."""
        design, kind = self._instrument_design(), self._instrument_covariance()
        if len(design.treatments) > 1:
            rank = evaluate(first_stage.cragg_donald_statistic, design)
            return rank.statistic / len(design.instruments), "Cragg-Donald F"
        if kind == "homoskedastic":
            return evaluate(first_stage.first_stage_f_statistic, design).statistic, "first-stage F"
        result = evaluate(first_stage.effective_f_statistic, design, covariance=kind)
        return result.statistic, "effective first-stage F"

    def _strength_notes(self, alpha: float) -> list[str]:
        """Sentences for the summary; warns if the instruments are weak."""
        design = self.design_
        if self.covariance == "HAC":
            return ["Instrument strength is not reported under HAC errors."]
        strength, name = self._strength()
        k, p = len(design.instruments), len(design.treatments)
        is_weak = strength < WEAK_F
        if not is_weak and (k > p or p > 1 or strength >= T_RATIO_F):
            return []
        if is_weak:
            reason = f"Weak instruments: {name} {strength:.2f} < {WEAK_F:g}. Wald intervals and p-values are unreliable"
            warnings.warn(f"{reason}; see confidence_set().", WeakInstrumentWarning, stacklevel=4)
        else:
            reason = f"With {name} {strength:.2f} < {T_RATIO_F} a t test can exceed its level (Lee et al. 2022)"
        if self.covariance == "cluster" and design.n_clusters is not None and design.n_clusters <= k:
            return [
                f"{reason}. No test or set under clustering exists with {design.n_clusters} groups for {k} instruments."
            ]
        if p > 1 and self._instrument_covariance() != "homoskedastic":
            return [f"{reason}. Robust sets for several treatments are homoskedastic only: see confidence_set()."]
        method, label = ("clr", "CLR") if k > p else ("ar", "Anderson-Rubin")
        sets = [(t, self.confidence_set(method, treatment=t, alpha=alpha)) for t in design.treatments]
        shown = ", ".join(f"{t} in {s}" if p > 1 else str(s) for t, s in sets)
        unbounded = " (unbounded: the data do not bound the effect)" if any(not s.is_bounded for _, s in sets) else ""
        return [f"{reason}. {100 * (1 - alpha):g}% {label} set, valid at any strength: {shown}{unbounded}."]

    def _instrument_design(self) -> Design:
        design = self.design_
        if design.z is None:
            raise InputError("Z", found="none in fit", expected="an estimator fitted with instruments")
        if design.z.shape[1] < design.x.shape[1]:
            raise InputError(
                "Z",
                found="fewer instruments than treatments",
                expected="an identified model, to judge its instruments",
            )
        return design

    def _instrument_covariance(self) -> str:
        if self.covariance == "HAC":
            raise InputError(
                "covariance",
                found="'HAC'",
                expected="'homoskedastic', 'HC0' to 'HC3' or 'cluster' for this report",
            )
        return "HC1" if self.covariance in ("HC2", "HC3") else self.covariance


def _first_stage(system: System, *, covariance: str, index: int) -> tuple[TestResult, TestResult, Any]:
    classical = first_stage.first_stage_f_statistic(system, index=index)
    robust = first_stage.first_stage_f_statistic(system, covariance=covariance, index=index)
    if system.x.shape[1] == 1:
        return classical, robust, first_stage.effective_f_statistic(system, covariance=covariance)
    return classical, robust, first_stage.sanderson_windmeijer_statistic(system, index=index)


def _tests(system: System, *, covariance: str) -> dict[str, TestResult]:
    """All tests by name; those that have a robust form take HC1 when the estimator is homoskedastic."""
    _, p, k, _ = system.sizes
    robust = "HC1" if covariance == "homoskedastic" else covariance
    results = {
        "Cragg-Donald": first_stage.cragg_donald_statistic(system),
        "Kleibergen-Paap LM": first_stage.kleibergen_paap_statistic(system, covariance=robust),
    }
    if k > p:
        results["Sargan"] = overidentification.sargan_statistic(system)
        results["Basmann"] = overidentification.basmann_statistic(system)
        results["Hansen J"] = overidentification.hansen_j_statistic(system, covariance=robust)
    results["Durbin"] = endogeneity.durbin_statistic(system)
    results["Wu-Hausman"] = endogeneity.wu_hausman_statistic(system)
    results["Hausman, robust"] = endogeneity.hausman_regression_statistic(system, covariance=robust)
    return results
