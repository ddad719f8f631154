"""Tests of independence of two categorical variables: Pearson's chi-square and the likelihood ratio G.

A negative code is a missing value, as in ``pandas.factorize``, whose row is left out.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from causalrep.base.checks import as_codes, is_concrete
from causalrep.base.validation import check_count, check_index_alignment, check_rows
from causalrep.errors import InputError
from causalrep.inference.independence.kernel import Independence


def chi_square(
    x: Int[Array, " n"], y: Int[Array, " n"], *, levels: tuple[int, int], rows: Bool[Array, " n"] | None = None
) -> Independence:
    """Pearson's test, ``sum (observed - expected)^2 / expected``, without continuity correction.

    Args:
        x: One variable, coded 0 to ``levels[0] - 1``; rows with a negative code are left out.
        y: The other variable, coded likewise.
        levels: Numbers of levels; levels without rows do not enter the degrees of freedom.
        rows: Mask of the rows to use; all by default.

    Returns:
        The statistic and its p-value, which is NaN if a variable is constant.

    Raises:
        InputError: If lengths differ, or a code is not a whole number below its number of levels. A traced code that is
            too large makes both results NaN.

    >>> import jax.numpy as jnp
    >>> x, y = jnp.array([0, 0, 1, 1, 1]), jnp.array([0, 0, 1, 1, 0])
    >>> round(float(chi_square(x, y, levels=(2, 2)).statistic), 4)
    2.2222
    """
    observed = contingency_table(x, y, levels, rows)
    expected = _expected(observed)
    terms = jnp.where(expected > 0, (observed - expected) ** 2 / jnp.where(expected > 0, expected, 1.0), 0.0)
    return _compared(jnp.sum(terms), observed)


def g_square(
    x: Int[Array, " n"], y: Int[Array, " n"], *, levels: tuple[int, int], rows: Bool[Array, " n"] | None = None
) -> Independence:
    """The likelihood-ratio test, ``2 sum observed log(observed / expected)``; arguments as for :func:`chi_square`."""
    observed = contingency_table(x, y, levels, rows)
    expected = _expected(observed)
    seen = observed > 0
    ratio = jnp.where(seen, observed, 1.0) / jnp.where(seen, expected, 1.0)
    return _compared(2.0 * jnp.sum(observed * jnp.log(ratio)), observed)


def contingency_table(
    x: Int[Array, " n"], y: Int[Array, " n"], levels: tuple[int, int], rows: Bool[Array, " n"] | None = None
) -> Float[Array, "a b"]:
    """Counts of each pair of levels among the rows in use; NaN if a traced code is too large."""
    if not isinstance(levels, Sequence) or len(levels) != 2:
        raise InputError("levels", found=repr(levels), expected="two numbers of levels")
    for count in levels:
        check_count("levels", count)
    check_index_alignment(x=x, y=y, rows=rows)
    x, y = (
        _column(name, as_codes(name, _masked(v, rows), levels=count, missing=True))
        for name, v, count in (("x", x, levels[0]), ("y", y, levels[1]))
    )
    check_rows("y", len(y), rows=len(x), of="x")
    used = (x >= 0) & (y >= 0)
    if rows is not None:
        check_rows("rows", len(rows), rows=len(x), of="x")
        used = used & (jnp.asarray(rows) != 0)
    return _counts(x, y, used, (int(levels[0]), int(levels[1])))


@partial(jax.jit, static_argnames="levels")
def _counts(
    x: Int[Array, " n"], y: Int[Array, " n"], used: Bool[Array, " n"], levels: tuple[int, int]
) -> Float[Array, "a b"]:
    counted = used.astype(jnp.result_type(float))
    counted = jnp.where(used & ((x >= levels[0]) | (y >= levels[1])), jnp.nan, counted)
    cell = jnp.where(used, x * levels[1] + y, 0)
    size = levels[0] * levels[1]
    return jnp.zeros(size, counted.dtype).at[jnp.minimum(cell, size - 1)].add(counted).reshape(levels)


def _masked(codes: Any, rows: Any) -> Any:
    """Known codes whose rows do not count may be anything: they are missing."""
    if rows is None or not is_concrete(codes, rows) or np.shape(codes) != np.shape(rows):
        return codes
    known, used = np.asarray(codes), np.asarray(rows) != 0
    return codes if used.all() else np.where(used, known, -1)


def _column(name: str, codes: Int[Array, "n *"]) -> Int[Array, " n"]:
    if codes.ndim != 1:
        raise InputError(name, found=f"an array of shape {codes.shape}", expected="one code per row")
    return codes


@jax.jit
def _expected(observed: Float[Array, "a b"]) -> Float[Array, "a b"]:
    # Without rows there is nothing to expect: 0, not 0 / 0.
    return jnp.sum(observed, axis=1, keepdims=True) * (jnp.sum(observed, axis=0) / jnp.maximum(jnp.sum(observed), 1))


@jax.jit
def _compared(statistic: Float[Array, ""], observed: Float[Array, "a b"]) -> Independence:
    present = [jnp.sum(jnp.sum(observed, axis=axis) > 0) for axis in (1, 0)]
    df = jnp.maximum(present[0] - 1, 0) * (present[1] - 1)
    statistic = jnp.where(jnp.isnan(jnp.sum(observed)), jnp.nan, statistic)
    tail = jax.scipy.special.gammaincc(jnp.maximum(df, 1) / 2, statistic / 2)
    # A comparison with NaN is false: a NaN statistic has no degrees of freedom and no p-value either.
    return Independence(statistic, jnp.where(df > 0, tail, jnp.nan))
