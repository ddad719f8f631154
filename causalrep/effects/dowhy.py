"""Our estimators as estimation methods of DoWhy: identified and refuted there, estimated here.

>>> estimate = model.estimate_effect(                            # doctest: +SKIP
...     estimand,
...     method_name="backdoor.causalrep.effects.dowhy.Estimator",
...     method_params={"estimator": DRLearner()},
... )

DoWhy 0.14 allows SciPy up to 1.15.3, so it may need an environment of its own.
"""

import inspect
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import stats

from causalrep.errors import InputError

try:
    from dowhy.causal_estimator import CausalEstimate, CausalEstimator
except ImportError:  # this module can be read and documented without DoWhy
    CausalEstimate, CausalEstimator = None, object


class Estimator(CausalEstimator):
    """A DoWhy estimator that leaves the work to one of ours.

    Effect modifiers of the DoWhy model become ``X`` and other adjustment variables ``W``; without modifiers all
    adjustment variables are ``X``. Instruments become ``Z`` where the estimator takes them. Text and categories are
    coded as DoWhy codes them.

    Args:
        identified_estimand: What DoWhy's ``identify_effect`` returned.
        estimator: An estimator of :mod:`causalrep.effects` or :mod:`causalrep.iv`, not yet fitted.
        **options: DoWhy's own: ``confidence_intervals``, ``test_significance``, ...

    Raises:
        ImportError: If DoWhy is not installed.
        InputError: If the estimator has no ``fit(Y, T, ...)``, or DoWhy's treatment values are not 1 and 0.
    """

    def __init__(self, identified_estimand: Any, *, estimator: Any = None, **options: Any):
        if CausalEstimate is None:
            raise ImportError("causalrep.effects.dowhy needs DoWhy: pip install dowhy")
        parameters = inspect.signature(getattr(estimator, "fit", lambda: None)).parameters
        if "Y" not in parameters or "T" not in parameters or isinstance(estimator, type):
            raise InputError(
                "estimator",
                found=repr(estimator),
                expected="an estimator with fit(Y, T, ...), as method_params={'estimator': DRLearner()}",
            )
        super().__init__(identified_estimand, **options)
        self.estimator, self._accepted = estimator, frozenset(parameters)

    def fit(self, data: pd.DataFrame, effect_modifier_names: list[str] | None = None, **options: Any) -> Self:
        """Fit to the columns that the estimand names; ``options`` go to our ``fit``."""
        self.reset_encoders()
        self._set_effect_modifiers(data, effect_modifier_names)
        estimand = self._target_estimand
        if len(estimand.treatment_variable) != 1:
            raise InputError("treatment", found=f"{estimand.treatment_variable}", expected="one treatment")
        adjusted = [] if estimand.identifier_method == "iv" else list(estimand.get_adjustment_set() or [])
        modifiers = list(self._effect_modifier_names or [])
        self._modifiers = modifiers or adjusted
        others = [name for name in adjusted if name not in self._modifiers]
        columns = {
            "X": self._coded(data, self._modifiers, "effect_modifiers"),
            "W": self._coded(data, others, "observed_common_causes"),
            "Z": self._coded(data, list(estimand.instrumental_variables or []), "instruments"),
        }
        given = {name: frame for name, frame in columns.items() if frame is not None and name in self._accepted}
        refused = [name for name in ("X", "W") if columns[name] is not None and name not in self._accepted]
        if refused:
            raise InputError(
                "estimator", found=f"{type(self.estimator).__name__}, without {refused[0]}", expected="one that adjusts"
            )
        outcome, treatment = data[estimand.outcome_variable[0]], data[estimand.treatment_variable[0]]
        self.estimator.fit(outcome, treatment, **given, **options)
        self.symbolic_estimator = self.construct_symbolic_estimator(estimand)
        return self

    def estimate_effect(
        self,
        data: pd.DataFrame,
        treatment_value: Any = 1,
        control_value: Any = 0,
        target_units: Any = None,
        **_: Any,
    ) -> Any:
        """The average effect over the target units: ``"ate"``, ``"att"``, a frame of modifiers or a row filter."""
        if (treatment_value, control_value) != (1, 0):
            raise InputError(
                "treatment_value, control_value", found=f"{treatment_value!r}, {control_value!r}", expected="1 and 0"
            )
        self.update_input(treatment_value, control_value, target_units)
        self._average = "att" if isinstance(target_units, str) and target_units == "att" else "ate"
        subset = isinstance(target_units, pd.DataFrame) or callable(target_units)
        effects = None
        if subset and not (self._modifiers and hasattr(self.estimator, "effect")):
            raise InputError(
                "target_units",
                found=f"some units, with {type(self.estimator).__name__} and modifiers {self._modifiers}",
                expected="effect modifiers and an estimator of individual effects, such as DRLearner()",
            )
        if self._modifiers and hasattr(self.estimator, "effect"):
            rows = data
            if isinstance(target_units, pd.DataFrame):
                rows = target_units
            elif callable(target_units):
                rows = data[np.asarray(data.where(target_units).notnull().iloc[:, 0])]
            elif target_units not in (None, "ate", "att"):
                raise InputError("target_units", found=repr(target_units), expected="'ate', 'att', a frame or a filter")
            effects = np.asarray(self.estimator.effect(self._coded(rows, self._modifiers, "effect_modifiers")))
        value = (
            float(np.mean(effects))
            if subset and effects is not None
            else float(getattr(self.estimator, self._average)())
        )
        estimate = CausalEstimate(
            data=data,
            treatment_name=self._target_estimand.treatment_variable,
            outcome_name=self._target_estimand.outcome_variable,
            estimate=value,
            control_value=control_value,
            treatment_value=treatment_value,
            target_estimand=self._target_estimand,
            realized_estimand_expr=self.symbolic_estimator,
            cate_estimates=effects,
        )
        estimate.add_estimator(self)
        return estimate

    def construct_symbolic_estimator(self, estimand: Any) -> str:
        """The estimator and what it adjusts for, as DoWhy prints it."""
        adjusted = ", ".join(estimand.get_adjustment_set() or [])
        given = f" | {adjusted}" if adjusted else ""
        outcome, treatment = estimand.outcome_variable[0], estimand.treatment_variable[0]
        return f"{type(self.estimator).__name__}: {outcome} ~ {treatment}{given}"

    def _coded(self, data: pd.DataFrame, names: list[str], kind: str) -> pd.DataFrame | None:
        return self._encode(data[names], kind) if names else None

    def _estimate_effect_fn(self, data: pd.DataFrame) -> float:
        return float(np.mean(self.estimator.effect(self._coded(data, self._modifiers, "effect_modifiers"))))

    def _estimate_confidence_intervals(
        self, confidence_level: float | None = None, method: Any = None, **_: Any
    ) -> tuple[float, float]:
        level = self.confidence_level if confidence_level is None else confidence_level
        return getattr(self.estimator, f"{self._average}_interval")(1 - level)

    def _estimate_std_error(self, method: Any = None, **_: Any) -> float:
        low, high = self._estimate_confidence_intervals(0.95)
        return (high - low) / (2 * float(stats.norm.isf(0.025)))

    def _test_significance(self, estimate_value: float, method: Any = None, **_: Any) -> dict[str, float]:
        return {"p_value": 2 * float(stats.norm.sf(abs(estimate_value) / self._estimate_std_error()))}
