"""Checks at the door that the façades of this room share."""

from typing import Any

import numpy as np

from causalrep.base.validation import as_matrix
from causalrep.errors import InputError


def check_seed(seed: Any) -> None:
    """Refuse a seed that is not a whole number."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise InputError("seed", found=repr(seed), expected="a whole number")


def check_widths(argument: str, widths: Any) -> tuple[int, ...]:
    """Widths of hidden layers; none of them makes a network linear."""
    whole = isinstance(widths, tuple | list) and all(
        isinstance(width, int) and not isinstance(width, bool) and width >= 1 for width in widths
    )
    if not whole:
        raise InputError(argument, found=repr(widths), expected="whole numbers of at least 1, such as (64, 64)")
    return tuple(widths)


def as_excluded(Z: Any, X: Any) -> np.ndarray | None:
    """Excluded covariates (n, k), or None; one that the covariates determine excludes nothing.

    Raises:
        InputError: If a column of ``Z`` is an affine function of the columns of ``X``, a constant for instance.
    """
    if Z is None:
        return None
    x, _ = as_matrix("X", X)
    z, names = as_matrix("Z", Z)
    check_rows("Z", len(z), rows=len(x), of="X")
    ones = np.column_stack([np.ones(len(x)), x])
    left = z - ones @ np.linalg.lstsq(ones, z, rcond=None)[0]
    determined = [name for name, part, whole in zip(names, left.T, z.T) if part.std() <= 1e-8 * np.abs(whole).max()]
    if determined:
        raise InputError("Z", found=f"columns {determined} that X determines", expected="others than X holds")
    return z


def check_rows(argument: str, count: int, *, rows: int, of: str) -> None:
    """Refuse an argument with another number of rows than the one named ``of``."""
    if count != rows:
        raise InputError(argument, found=f"{count} rows", expected=f"{rows}, as many as {of}")
