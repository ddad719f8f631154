"""What a fitted estimator says about its instruments: strength, tests, and weak-instrument-robust sets.

Thin over :mod:`causalrep.iv.diagnostics` and :mod:`causalrep.iv.weak`; the summaries print part of it.
"""

import warnings
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import pandas as pd

from causalrep.base.validation import check_choice
from causalrep.errors import InputError, WeakInstrumentWarning
from causalrep.iv import diagnostics as tests
from causalrep.iv import weak
from causalrep.iv.linear.design import Design
from causalrep.iv.weak.confidence_set import ConfidenceSet
from causalrep.precision import float64

# Staiger and Stock (1997), for the bias of 2SLS; Lee et al. (2022), for the size of a 5% t test with one
# instrument.
WEAK_F = 10.0
T_RATIO_F = 104.7
SETS = ("ar", "clr", "lm", "lr")


class InstrumentReports:
    """Methods of fitted estimators with instruments; they read ``design_`` and ``covariance``."""

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
        with float64():
            for j, name in enumerate(design.treatments):
                classical, robust, special = _first_stage(*_arrays(design)[1:], _codes(design, kind), kind=kind, j=j)
                row = {"F": classical.statistic, "p_value": classical.p_value, "robust_F": robust.statistic}
                if len(design.treatments) == 1:
                    critical = tests.effective_f_critical_value(float(special.effective_df))
                    row |= {"effective_F": special.statistic, "critical_value": critical}
                else:
                    row |= {"conditional_F": special.statistic}
                rows[name] = {label: float(value) for label, value in row.items()}
        return pd.DataFrame.from_dict(rows, orient="index")

    def diagnostics(self) -> pd.DataFrame:
        """Tests of the instruments: identification, overidentifying restrictions, endogeneity.

        One row per test with ``statistic``, ``p_value``, ``df_num`` and ``df_den`` (infinite for
        chi-squared), and the ``null`` hypothesis. Tests of overidentifying restrictions appear if there are
        more instruments than treatments.
        """
        design, kind = self._instrument_design(), self._instrument_covariance()
        with float64():
            results = _tests(*_arrays(design), _codes(design, kind), kind=kind)
        nulls = {
            "underidentification": "instruments do not identify",
            "overidentification": "instruments are valid",
        }
        rows = {}
        for (name, subject), result in zip(_test_names(design), results):
            numbers = {field: float(getattr(result, field)) for field in result._fields}
            rows[name] = numbers | {"null": nulls.get(subject, "treatments are exogenous")}
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
        design = self._instrument_design()
        check_choice("method", method, SETS)
        kind = self._instrument_covariance() if covariance is None else covariance
        index = self._treatment_index(treatment)
        data = (design.y, pd.DataFrame(design.x, columns=design.treatments), design.z, design.c)
        if method == "lr":
            if covariance is None or kind == "homoskedastic":
                return weak.lr_set(*data, alpha=alpha, parameter=index)
            raise InputError("covariance", found=repr(kind), expected="'homoskedastic' with method='lr'")
        find = {"ar": weak.anderson_rubin_set, "clr": weak.clr_set, "lm": weak.lm_set}[method]
        clusters = design.clusters if kind == "cluster" else None
        return find(*data, alpha=alpha, covariance=kind, clusters=clusters, parameter=index)

    def _strength(self) -> tuple[float, str]:
        """The F statistic that judges the instruments, and its name."""
        design, kind = self._instrument_design(), self._instrument_covariance()
        if len(design.treatments) > 1:
            with float64():
                _, x, z, c = _arrays(design)
                return float(tests.cragg_donald(x, z, c).statistic) / z.shape[1], "Cragg-Donald F"
        row = self.first_stage().iloc[0]
        if kind == "homoskedastic":
            return float(row["F"]), "first-stage F"
        return float(row["effective_F"]), "effective first-stage F"

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
            found = f"{name} {strength:.2f} < {WEAK_F:g}"
            reason = f"Weak instruments: {found}. Wald intervals and p-values are unreliable"
            warnings.warn(f"{reason}; see confidence_set().", WeakInstrumentWarning, stacklevel=4)
        else:
            reason = f"With {name} {strength:.2f} < {T_RATIO_F} a t test can exceed its level (Lee et al. 2022)"
        if p > 1 and self._instrument_covariance() != "homoskedastic":
            return [f"{reason}. Robust sets for several treatments are homoskedastic only: see confidence_set()."]
        method, label = ("clr", "CLR") if k > p else ("ar", "Anderson-Rubin")
        sets = [(t, self.confidence_set(method, treatment=t, alpha=alpha)) for t in design.treatments]
        shown = ", ".join(f"{t} in {s}" if p > 1 else str(s) for t, s in sets)
        unbounded = " (unbounded: the data do not bound the effect)" if any(not s.is_bounded for _, s in sets) else ""
        return [f"{reason}. {100 * (1 - alpha):g}% {label} set, valid at any strength: {shown}{unbounded}."]

    def _treatment_index(self, treatment: str | int) -> int:
        names = self.design_.treatments
        if isinstance(treatment, str) and treatment in names:
            return names.index(treatment)
        if isinstance(treatment, int) and not isinstance(treatment, bool) and 0 <= treatment < len(names):
            return treatment
        raise InputError("treatment", found=repr(treatment), expected=f"one of {names}, or a position")

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
        return {"HC2": "HC1", "HC3": "HC1"}.get(self.covariance, self.covariance)


def _arrays(design: Design) -> list[Any]:
    return [None if a is None else jnp.asarray(a) for a in (design.y, design.x, design.z, design.c)]


def _codes(design: Design, kind: str) -> Any:
    return jnp.asarray(design.clusters) if kind == "cluster" else None


@partial(jax.jit, static_argnames=("kind", "j"))
def _first_stage(x, z, c, clusters, *, kind: str, j: int):
    classical = tests.first_stage_f(x, z, c, parameter=j)
    robust = tests.first_stage_f(x, z, c, covariance=kind, clusters=clusters, parameter=j)
    if x.shape[1] == 1:
        return classical, robust, tests.effective_f(x, z, c, covariance=kind, clusters=clusters)
    return classical, robust, tests.sanderson_windmeijer(x, z, c, parameter=j)


def _test_names(design: Design) -> list[tuple[str, str]]:
    names = [("Cragg-Donald", "underidentification"), ("Kleibergen-Paap LM", "underidentification")]
    if len(design.instruments) > len(design.treatments):
        names += [(name, "overidentification") for name in ("Sargan", "Basmann", "Hansen J")]
    return [
        *names,
        ("Durbin", "endogeneity"),
        ("Wu-Hausman", "endogeneity"),
        ("Hausman, robust", "endogeneity"),
    ]


@partial(jax.jit, static_argnames="kind")
def _tests(y, x, z, c, clusters, *, kind: str):
    robust = {"covariance": "HC1" if kind == "homoskedastic" else kind, "clusters": clusters}
    results = [tests.cragg_donald(x, z, c), tests.kleibergen_paap(x, z, c, **robust)]
    if z.shape[1] > x.shape[1]:
        weights = {"covariance": "cluster" if kind == "cluster" else "HC0", "clusters": clusters}
        results += [
            tests.sargan(y, x, z, c),
            tests.basmann(y, x, z, c),
            tests.hansen_j(y, x, z, c, **weights),
        ]
    endogeneity = [tests.durbin, tests.wu_hausman, partial(tests.hausman_regression, **robust)]
    return [*results, *(test(y, x, z, c) for test in endogeneity)]
