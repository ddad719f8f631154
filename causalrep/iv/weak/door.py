"""Checks of user input shared by the weak-instrument façades: clean float64 arrays, or a named error."""

from typing import Any, NamedTuple

import numpy as np

from causalrep.base.validation import as_labels, as_matrix, as_vector, check_index_alignment
from causalrep.errors import InputError

# Columns whose share outside the span of the others falls below this are collinear with them.
COLLINEAR = 1e-10


class IVData(NamedTuple):
    """Validated input of an instrumental-variable computation; ``names`` are those of the columns of x."""

    y: np.ndarray
    x: np.ndarray
    z: np.ndarray
    c: np.ndarray | None
    clusters: np.ndarray | None
    names: list[str]


def check_iv_data(y: Any, x: Any, z: Any, c: Any = None, clusters: Any = None) -> IVData:
    """Validate outcome, endogenous regressors, instruments, controls and cluster labels.

    Raises:
        InputError: Missing or infinite values, wrong lengths, misaligned indexes, fewer instruments than
            endogenous regressors, too few rows, or collinear columns; names the argument.
    """
    check_index_alignment(y=y, x=x, z=z, c=c)
    y_array, _ = as_vector("y", y)
    n = len(y_array)
    x_array, names = as_matrix("x", x, rows=n)
    z_array, z_names = as_matrix("z", z, rows=n)
    c_array, c_names = (None, []) if c is None else as_matrix("c", c, rows=n)
    p, k, q = x_array.shape[1], z_array.shape[1], len(c_names)
    if k < p:
        raise InputError("z", found=f"{k} instruments for {p} endogenous regressors", expected=f"at least {p}")
    if n <= k + q + 1:
        raise InputError("y", found=f"{n} rows", expected=f"more than {k + q + 1}: {k} instruments, {q} controls")
    if c_array is not None:
        _check_independent("c", c_array, c_names, np.empty((n, 0)), "the other controls")
    given = np.empty((n, 0)) if c_array is None else c_array
    _check_independent("z", z_array, z_names, given, "the controls and the other instruments")
    _check_independent("x", x_array, names, given, "the controls and the other regressors")
    labels = None if clusters is None else as_labels("clusters", clusters, rows=n)
    return IVData(y_array, x_array, z_array, c_array, labels, names)


def _check_independent(argument: str, value: np.ndarray, names: list[str], given: np.ndarray, others: str) -> None:
    stacked = np.column_stack([given, value])
    norms = np.linalg.norm(stacked, axis=0)
    # Column j of R ends in the distance of column j from the span of the columns before it.
    diagonal = np.abs(np.diag(np.linalg.qr(stacked / np.where(norms > 0, norms, 1.0), mode="r")))
    dependent = np.flatnonzero(diagonal[given.shape[1] :] <= COLLINEAR)
    if dependent.size:
        name = names[dependent[0]]
        constant = np.ptp(value[:, dependent[0]]) == 0
        found = f"column {name!r}, constant or collinear" if constant else f"column {name!r}, collinear"
        raise InputError(argument, found=found, expected=f"columns not determined by {others}")
