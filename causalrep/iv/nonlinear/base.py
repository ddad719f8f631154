"""The façade shared by the nonlinear instrumental-variable estimators: ``fit``, ``effect``, ``predict``, ``summary``.

A new estimator subclasses :class:`NonlinearIVEstimator` and supplies one method, ``_fit``: it takes the checked data,
sets the fitted attributes, and returns the structural function of treatments and controls with lines for the summary.
"""

from typing import Any, Self

import numpy as np
import pandas as pd

from causalrep.base.estimator import Estimator
from causalrep.base.summary import Summary
from causalrep.base.validation import check_index_alignment, check_range
from causalrep.errors import InputError, NoIntervalError
from causalrep.iv.nonlinear.door import NonlinearData, as_levels, check_nonlinear

# The structural function, which must pickle, and label and value pairs for the summary.
Fitted = tuple[Any, list[tuple[str, str]]]


class NonlinearIVEstimator(Estimator):
    """Abstract base of the estimators of ``Y = h(T, X) + e`` with ``E[e | Z, X] = 0``; see a subclass for use.

    The constructor takes hyperparameters only and stores each under its own name. A subclass sets the class
    attributes that differ and defines ``_fit(data)``. The fit and the structural function run in the precision of the
    class.

    Attributes:
        data_: The checked data.
        n_obs_: Number of rows.
    """

    _title = "Nonlinear instrumental variables"
    _no_interval: str | None = None
    _assumptions = (
        "Causal under exclusion and exogeneity of the instruments given the controls, an error that adds to the "
        "outcome, and instruments rich enough to tell structural functions apart (completeness). Values outside "
        "the treatments' range extrapolate."
    )

    # ---------------------------------------------------------------- fitting

    def fit(self, Y: Any, T: Any, *, X: Any = None, Z: Any = None) -> Self:
        """Fit the structural function.

        Args:
            Y: Outcome (n,): array, Series or one-column frame.
            T: Endogenous treatments (n,) or (n, p).
            X: Exogenous controls (n, q): arguments of the structural function, and conditioned on beside Z.
            Z: Excluded instruments (n,) or (n, k).

        Returns:
            The estimator itself.

        Raises:
            InputError: If an argument or hyperparameter is wrong; the message names it.
        """
        self._check_domains()
        self._check_hyperparameters()
        data = check_nonlinear(Y, T, X, Z)
        with self._computing():
            self._structural, self._facts = self._fit(data)
        self.data_, self.n_obs_ = data, len(data.y)
        return self

    def _fit(self, data: NonlinearData) -> Fitted:
        raise TypeError(f"{type(self).__name__} must define _fit(data)")

    def _function(self, inputs: np.ndarray) -> np.ndarray:
        with self._computing():
            return self._structural(inputs)

    def _check_hyperparameters(self) -> None:
        """Refuse hyperparameters that are wrong together; nothing to check by default."""

    # ---------------------------------------------------------------- answers

    def predict(self, T: Any, X: Any = None) -> np.ndarray:
        """The structural function ``h(T, X)`` (n,): the mean outcome if treatments were *set* to ``T``."""
        return self._function(self._inputs(T, X))

    def effect(self, X: Any = None, T0: Any = 0, T1: Any = 1) -> Any:
        """Effect on the outcome of changing the treatments from ``T0`` to ``T1``, ``h(T1, X) - h(T0, X)``.

        Args:
            X: Controls (n, q), if the model has any: the effect depends on them.
            T0: Levels before: one, a number or (p,), or one per row, (n,) with one treatment or (n, p).
            T1: Levels after, likewise.

        Returns:
            (n,) effects, or a float if levels and controls are single.
        """
        before, after = self._contrast(X, T0, T1)
        values = self._function(after) - self._function(before)
        return float(values[0]) if X is None and len(values) == 1 else values

    def effect_interval(
        self, X: Any = None, T0: Any = 0, T1: Any = 1, alpha: float = 0.05
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pointwise interval of :meth:`effect` of level ``1 - alpha``, as lower and upper ends (n,).

        Raises:
            NoIntervalError: If the estimator has no valid interval; the message says why.
        """
        before, after = self._contrast(X, T0, T1)
        return self._interval(before, after, alpha, average=False)

    def ate(self, T0: Any = 0, T1: Any = 1) -> float:
        """Effect of changing the treatments from ``T0`` to ``T1``, averaged over the sample's controls."""
        before, after = self._average_contrast(T0, T1)
        return float(np.mean(self._function(after) - self._function(before)))

    def ate_interval(self, alpha: float = 0.05, T0: Any = 0, T1: Any = 1) -> tuple[float, float]:
        """Interval of :meth:`ate`, given the sample's controls.

        Raises:
            NoIntervalError: If the estimator has no valid interval; the message says why.
        """
        before, after = self._average_contrast(T0, T1)
        lower, upper = self._interval(before, after, alpha, average=True)
        return float(lower[0]), float(upper[0])

    def _interval(
        self, before: np.ndarray, after: np.ndarray, alpha: float, *, average: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        check_range("alpha", alpha, above=0, below=1)
        raise NoIntervalError(f"{type(self).__name__} has no interval: {self._no_interval}")

    # ---------------------------------------------------------------- summary

    def summary(self, alpha: float = 0.05) -> Summary:
        """Average effects of moving each treatment from its lower to its upper quartile, the others at their medians.

        Args:
            alpha: Level of the intervals, where the estimator has them.
        """
        data = self.data_
        quartiles = np.quantile(data.t, [0.25, 0.5, 0.75], axis=0)
        rows = []
        for j in range(data.t.shape[1]):
            before, after = quartiles[1].copy(), quartiles[1].copy()
            before[j], after[j] = quartiles[0, j], quartiles[2, j]
            row = {"from": before[j], "to": after[j], "effect": self.ate(before, after)}
            if self._no_interval is None:
                low, high = self.ate_interval(alpha, before, after)
                row |= {f"[{alpha / 2:g}": low, f"{1 - alpha / 2:g}]": high}
            rows.append(row)
        facts = [("Outcome", data.outcome), ("Treatments", ", ".join(data.treatments))]
        if data.controls:
            facts.append(("Controls", ", ".join(data.controls)))
        facts += [("Instruments", ", ".join(data.instruments)), ("Rows", str(self.n_obs_)), *self._facts]
        notes = [] if self._no_interval is None else [f"No interval: {self._no_interval}"]
        notes.append(self._assumptions)
        return Summary(self._title, facts, pd.DataFrame(rows, index=data.treatments), notes)

    # ---------------------------------------------------------------- helpers

    def _inputs(self, T: Any, X: Any) -> np.ndarray:
        check_index_alignment(T=T, X=X)
        treatments = self.data_.t_columns.match(T)
        return np.column_stack([treatments, self._controls(X, len(treatments))])

    def _controls(self, X: Any, rows: int) -> np.ndarray:
        columns, count = self.data_.x_columns, self.data_.x.shape[1]
        if (X is None) != (columns is None):
            found = "None" if X is None else "controls"
            raise InputError("X", found=found, expected=f"{count} controls, as in fit")
        if columns is None:
            return np.zeros((rows, 0))
        controls = columns.match(X)
        if len(controls) != rows and 1 not in (len(controls), rows):
            raise InputError("X", found=f"{len(controls)} rows", expected=f"{rows}, as many as treatment levels")
        return np.broadcast_to(controls, (max(rows, len(controls)), count))

    def _contrast(self, X: Any, T0: Any, T1: Any) -> tuple[np.ndarray, np.ndarray]:
        p = self.data_.t.shape[1]
        before, after = as_levels("T0", T0, p), as_levels("T1", T1, p)
        rows = max(len(before), len(after))
        if {len(before), len(after)} - {1, rows}:
            raise InputError("T1", found=f"{len(after)} levels", expected=f"1 or {len(before)}, as many as T0")
        controls = self._controls(X, rows)
        rows = max(rows, len(controls)) if controls.shape[1] else rows
        first, second = (np.broadcast_to(levels, (rows, p)) for levels in (before, after))
        return np.column_stack([first, controls]), np.column_stack([second, controls])

    def _average_contrast(self, T0: Any, T1: Any) -> tuple[np.ndarray, np.ndarray]:
        data = self.data_
        ends = [as_levels(argument, value, data.t.shape[1]) for argument, value in (("T0", T0), ("T1", T1))]
        for argument, levels in zip(("T0", "T1"), ends, strict=True):
            if len(levels) > 1:
                raise InputError(argument, found=f"{len(levels)} levels", expected="one level, to average over rows")
        if not data.controls:
            return ends[0], ends[1]
        first, second = (np.column_stack([np.broadcast_to(levels, data.t.shape), data.x]) for levels in ends)
        return first, second
