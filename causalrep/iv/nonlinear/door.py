"""Checks of user input for the nonlinear estimators: it becomes named float64 arrays in random order, or an error."""

from typing import Any, NamedTuple

import jax
import numpy as np

from causalrep.base.columns import Columns, read_columns
from causalrep.base.validation import (
    as_vector,
    check_index_alignment,
    check_roles,
    is_constant,
)
from causalrep.errors import InputError
from causalrep.keys import root

# With fewer rows, half of the sample is too small to fit or to validate anything.
FEWEST_ROWS = 20


class NonlinearData(NamedTuple):
    """Checked data of ``Y = h(T, X) + e`` with ``E[e | Z, X] = 0``, and the names of its columns.

    Attributes:
        y: Outcome (n,).
        t: Treatments (n, p).
        x: Exogenous controls (n, q); q may be 0.
        z: Excluded instruments (n, k).
        outcome: Name of the outcome.
        treatments: Names of the treatments.
        controls: Names of the controls.
        instruments: Names of the instruments.
        t_columns: The columns of ``t``, by which later data are matched.
        x_columns: The columns of ``x``; None without controls.
    """

    y: np.ndarray
    t: np.ndarray
    x: np.ndarray
    z: np.ndarray
    outcome: str
    treatments: list[str]
    controls: list[str]
    instruments: list[str]
    t_columns: Columns
    x_columns: Columns | None

    @property
    def inputs(self) -> np.ndarray:
        """Inputs of the structural function: treatments, then controls (n, p + q)."""
        return np.column_stack([self.t, self.x])

    @property
    def exogenous(self) -> np.ndarray:
        """Variables that the moments condition on: instruments, then controls (n, k + q)."""
        return np.column_stack([self.z, self.x])


def check_nonlinear(Y: Any, T: Any, X: Any = None, Z: Any = None) -> NonlinearData:
    """Validate outcome, treatments, controls and instruments.

    Raises:
        InputError: Missing or infinite values, wrong lengths, misaligned indexes, no instrument, constant columns, or
            fewer than 20 rows; names the argument.
    """
    check_index_alignment(Y=Y, T=T, X=X, Z=Z)
    y, outcome = as_vector("Y", Y)
    n = len(y)
    t, t_columns = read_columns("T", T, rows=n)
    x, x_columns = (np.zeros((n, 0)), None) if X is None else read_columns("X", X, rows=n)
    if Z is None:
        raise InputError("Z", found="None", expected="at least one excluded instrument")
    z, z_columns = read_columns("Z", Z, rows=n)
    if n < FEWEST_ROWS:
        raise InputError("Y", found=f"{n} rows", expected=f"at least {FEWEST_ROWS}")
    treatments, controls, instruments = (
        list(columns.names) if columns else [] for columns in (t_columns, x_columns, z_columns)
    )
    for argument, block, names in (("T", t, treatments), ("X", x, controls), ("Z", z, instruments)):
        constant = [name for name, flat in zip(names, is_constant(block), strict=True) if flat]
        if constant:
            raise InputError(argument, found=f"constant columns {constant}", expected="columns that vary")
    check_roles((y, outcome), {"T": (t, treatments), "X": (x, controls)})
    return NonlinearData(y, t, x, z, outcome, treatments, controls, instruments, t_columns, x_columns)


def as_levels(argument: str, value: Any, treatments: int) -> np.ndarray:
    """Treatment levels (m, p): a number or a vector (p,) is one level; (m,) for one treatment and (m, p) are m levels.

    Raises:
        InputError: If the shape fits no number of levels, or a value is not finite.
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(argument, found=repr(value), expected="numbers") from error
    if array.ndim == 0 and treatments == 1:
        array = array[None, None]
    elif array.ndim == 1:
        array = array[:, None] if treatments == 1 else array[None, :]
    if array.ndim != 2 or array.shape[1] != treatments or len(array) == 0:
        one = "a number, or (m,) numbers" if treatments == 1 else f"{treatments} numbers, or an array (m, {treatments})"
        raise InputError(argument, found=f"shape {np.shape(value)}", expected=one)
    if not np.isfinite(array).all():
        raise InputError(argument, found="missing or infinite values", expected="finite numbers")
    return array


def shuffled(seed: int, *arrays: np.ndarray) -> list[np.ndarray]:
    """Rows of all arrays in one random order, so that halves of a sample do not follow the order of a file."""
    order = np.asarray(jax.random.permutation(root(seed), len(arrays[0])))
    return [array[order] for array in arrays]
