"""The input checks of the effect estimators: user data become an :class:`EffectDesign` or a named error."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalrep.base.columns import Columns, read_columns
from causalrep.base.validation import as_labels, as_matrix, as_vector, check_index_alignment, check_roles, is_constant
from causalrep.errors import CausalrepWarning, InputError


@dataclass(frozen=True)
class EffectDesign:
    """Checked float64 data of a binary treatment, with names.

    Attributes:
        y: Outcome (n,).
        t: Treatment, 0 or 1 (n,).
        x: Effect modifiers (n, d); no columns if only ``W`` was given.
        xw: All covariates to adjust for: the columns of ``x``, then those of ``W`` (n, q).
        folds: The user's fold codes 0..K-1 (n,), or None.
        outcome: Name of the outcome.
        treatment: Name of the treatment.
        modifiers: Names of the columns of ``x``.
        covariates: Names of the columns of ``xw``.
        x_columns: The columns of ``x``, by which later data are matched.
    """

    y: np.ndarray
    t: np.ndarray
    x: np.ndarray
    xw: np.ndarray
    folds: np.ndarray | None
    outcome: str
    treatment: str
    modifiers: list[str]
    covariates: list[str]
    x_columns: Columns

    def rows_of(self, X: Any) -> np.ndarray:
        """Effect modifiers (m, d) to predict at: those of ``fit`` if ``X`` is None, else those of ``X`` by name.

        Raises:
            InputError: If the columns of ``X`` are not those of ``fit``.
        """
        if X is None:
            return self.x
        if not self.modifiers:
            raise InputError("X", found="columns", expected="None: fit had no X, so the effect is one number")
        return self.x_columns.match(X)


def make_effect_design(
    Y: Any, T: Any, X: Any = None, W: Any = None, folds: Any = None, *, rows_per_arm: int = 2
) -> EffectDesign:
    """Check the data of an effect estimator and keep the names of their columns.

    Args:
        Y: Outcome.
        T: Binary treatment: 0 and 1, or booleans.
        X: Effect modifiers, or None.
        W: Further covariates to adjust for, or None.
        folds: Fold labels, or None.
        rows_per_arm: Least number of rows in each arm.

    Raises:
        InputError: Names the argument, what was found and what was expected.
    """
    check_index_alignment(Y=Y, T=T, X=X, W=W, folds=folds)
    y, outcome = as_vector("Y", Y)
    n = y.shape[0]
    t, treatment = as_vector("T", T, rows=n)
    check_treatment(t, rows_per_arm)
    if X is None and W is None:
        raise InputError("X", found="None, and no W", expected="covariates to adjust for, in X, W or both")
    x, x_columns = (np.zeros((n, 0)), Columns("X", (), False)) if X is None else read_columns("X", X, rows=n)
    modifiers = list(x_columns.names)
    w, controls = (np.zeros((n, 0)), []) if W is None else as_matrix("W", W, rows=n)
    xw, covariates = np.column_stack([x, w]), [*modifiers, *controls]
    _check_variation(xw, covariates, len(modifiers))
    check_roles((y, outcome), {"T": (t[:, None], [treatment]), "X": (x, modifiers), "W": (w, controls)})
    codes = None if folds is None else _check_folds(folds, t)
    return EffectDesign(y, t, x, xw, codes, outcome, treatment, modifiers, covariates, x_columns)


def check_treatment(t: np.ndarray, rows_per_arm: int = 1, *, argument: str = "T") -> None:
    """Refuse a treatment that is not 0 and 1, or an arm of fewer rows."""
    levels, counts = np.unique(t, return_counts=True)
    if not set(levels) <= {0.0, 1.0}:
        shown = ", ".join(f"{level:g}" for level in levels[:5]) + (", ..." if len(levels) > 5 else "")
        raise InputError(
            argument, found=f"{len(levels)} values ({shown})", expected="a binary treatment, coded 0 and 1"
        )
    if len(levels) == 1:
        arm = "treated" if levels[0] == 1 else "untreated"
        raise InputError(
            argument, found=f"{len(t)} rows, all {arm}", expected="both treated (1) and untreated (0) rows"
        )
    if counts.min() < rows_per_arm:
        arm = ("untreated", "treated")[int(np.argmin(counts))]
        raise InputError(
            argument,
            found=f"{counts.min()} {arm} rows",
            expected=f"at least {rows_per_arm} in each arm (or fewer folds)",
        )


def _check_variation(xw: np.ndarray, names: list[str], modifiers: int) -> None:
    constant = is_constant(xw)
    if constant.all():
        raise InputError("X" if modifiers else "W", found="only constant columns", expected="covariates that vary")
    if constant.any():
        listed = [name for name, flat in zip(names, constant, strict=True) if flat]
        warnings.warn(
            f"Covariates {listed} are constant: they carry no information and are ignored.",
            CausalrepWarning,
            stacklevel=4,
        )


def _check_folds(folds: Any, t: np.ndarray) -> np.ndarray:
    codes = as_labels("folds", folds, rows=len(t))
    for fold in range(codes.max() + 1):
        training = t[codes != fold]
        if training.min() == training.max():
            raise InputError(
                "folds", found="a fold that holds a whole treatment arm", expected="both arms outside every fold"
            )
    return codes
