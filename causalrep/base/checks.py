"""Checks of the arrays that pure functions take: shapes always, values only where they are known.

Scores and tests run under ``jit`` and ``vmap`` in studies and on users' arrays elsewhere. Shapes are static in both,
so they are always checked; values are checked unless they are traced.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from causalrep.base.validation import as_matrix, check_index_alignment, check_rows
from causalrep.errors import InputError

_SHAPES = {1: "one number per row", 2: "a matrix, one row per observation"}


def is_concrete(*values: Any) -> bool:
    """Whether all values are known here: none is traced by ``jit`` or ``vmap``, none lies on another process.

    >>> is_concrete(np.ones(2)), bool(jax.jit(lambda x: jnp.full((), is_concrete(x)))(np.ones(2)))
    (True, False)
    """
    return not any(
        isinstance(value, jax.core.Tracer) or (isinstance(value, jax.Array) and not value.is_fully_addressable)
        for value in values
    )


def as_numbers(
    argument: str, value: Any, *, ndim: int | None = None, allowed: Literal["finite", "infinite", "any"] = "finite"
) -> Array:
    """A JAX array of at least float32: half precision, integers and booleans are converted.

    Args:
        argument: Name of the argument in errors.
        value: An array, or a frame, Series or list, which :func:`causalrep.base.validation.as_matrix` checks.
        ndim: Number of dimensions, or None for any.
        allowed: Which values are allowed: finite ones, infinite ones too, or any, NaN included.

    Raises:
        InputError: If the value is not numeric, empty, of another number of dimensions, or (unless traced) contains
            values that are not allowed.
    """
    array = value if isinstance(value, jax.Array) and value.dtype == np.float32 else _converted(argument, value, ndim)
    if ndim is not None and array.ndim != ndim:
        raise InputError(argument, found=f"an array of shape {array.shape}", expected=_SHAPES[ndim])
    if array.size == 0:
        raise InputError(argument, found=f"no data (shape {array.shape})", expected="at least one row and column")
    if allowed != "any" and is_concrete(array):
        # A float64 beyond float32's range is infinite only after the conversion.
        _refuse_missing(argument, array, infinite=allowed == "infinite")
    return array


def _converted(argument: str, value: Any, ndim: int | None) -> Array:
    plain = isinstance(value, jax.Array | np.generic | float | int) or type(value) is np.ndarray
    if not plain or (isinstance(value, np.ndarray) and value.dtype == object):
        matrix, _ = as_matrix(argument, value)
        value = matrix[:, 0] if matrix.shape[1] == 1 and ndim != 2 else matrix
    dtype = value.dtype if hasattr(value, "dtype") else np.result_type(value)
    if jnp.issubdtype(dtype, jnp.floating):
        wanted = jnp.promote_types(dtype, jnp.float32)
    elif jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.bool_):
        wanted = jnp.result_type(float)
    else:
        raise InputError(argument, found=f"values of type {dtype}", expected="real numbers")
    return jnp.asarray(value, dtype=jax.dtypes.canonicalize_dtype(wanted))


def _refuse_missing(argument: str, array: Array, *, infinite: bool, weights: Array | None = None) -> None:
    known = np.asarray(array)  # on a CPU a view
    wrong = np.isnan(known) if infinite else ~np.isfinite(known)
    if weights is not None:
        wrong &= np.asarray(weights) > 0
    if wrong.any():
        count, kind = int(wrong.sum()), "missing" if infinite else "missing or infinite"
        place = f", the first in row {int(np.argwhere(wrong)[0][0])}" if known.ndim else ""
        raise InputError(argument, found=f"{count} {kind} values{place}", expected="finite numbers")


def as_rows(*ndims: int, least: int = 1, **values: Any) -> list[Array]:
    """Arrays of the same rows, each by :func:`as_numbers`.

    Args:
        *ndims: Number of dimensions of each value.
        least: Least number of rows.
        **values: The values by the names of their arguments.

    Raises:
        InputError: If pandas indexes differ, numbers of rows differ, or a value is refused by itself.

    >>> [block.dtype.name for block in as_rows(2, 1, X=[[1, 2], [3, 4]], Y=np.array([0, 1]))]
    ['float32', 'float32']
    """
    check_index_alignment(**values)
    arrays = [as_numbers(name, value, ndim=n) for n, (name, value) in zip(ndims, values.items(), strict=True)]
    (first, *_), rows = values, len(arrays[0])
    for name, array in zip(values, arrays, strict=True):
        check_rows(name, len(array), rows=rows, of=first)
    if rows < least:
        raise InputError(first, found=f"{rows} rows", expected=f"at least {least}")
    return arrays


def as_alike(weights: Array | None = None, /, *, infinite: bool = False, **values: Any) -> list[Array]:
    """Arrays of one shape, so that none is broadcast.

    Args:
        weights: Weights of this shape, or None. Where they are 0 the values may be anything.
        infinite: Whether infinite values are allowed.
        **values: The values by the names of their arguments.

    >>> as_alike(effect=np.ones(3), truth=np.ones((3, 1)))
    Traceback (most recent call last):
        ...
    causalrep.errors.InputError: truth: found shape (3, 1); expected shape (3,), that of effect.
    """
    check_index_alignment(**values)
    arrays = [as_numbers(name, value, allowed="any") for name, value in values.items()]
    first = next(iter(values)) if weights is None else "where"
    shape = arrays[0].shape if weights is None else weights.shape
    for name, array in zip(values, arrays, strict=True):
        if array.shape != shape:
            raise InputError(name, found=f"shape {array.shape}", expected=f"shape {shape}, that of {first}")
        if is_concrete(array) and (weights is None or is_concrete(weights)):
            _refuse_missing(name, array, infinite=infinite, weights=weights)
    return arrays


def as_codes(argument: str, value: Any, *, levels: int | None = None, missing: bool = False) -> Array:
    """Integer codes as int32, so that arithmetic with them cannot overflow the type that they came in.

    Args:
        argument: Name of the argument in errors.
        value: Array of integers, of floats that are whole numbers, or of booleans.
        levels: Number of levels: codes run from 0 to ``levels - 1``; None allows any.
        missing: Whether negative codes are allowed, as those that ``pandas.factorize`` gives to missing values.

    Raises:
        InputError: If there are no codes or (unless traced) if they are not whole numbers in the range.
    """
    value = value if isinstance(value, jax.Array) else np.asarray(value)
    floating = jnp.issubdtype(value.dtype, jnp.floating)
    if not (floating or jnp.issubdtype(value.dtype, jnp.integer) or jnp.issubdtype(value.dtype, jnp.bool_)):
        raise InputError(argument, found=f"values of type {value.dtype}", expected="integer codes")
    if np.size(value) == 0:
        raise InputError(argument, found="no codes", expected="at least one")
    if is_concrete(value):
        known = np.asarray(value)
        if floating:
            whole = np.asarray(known, np.float64)
            if not (np.isfinite(whole) & (whole == np.round(whole))).all():
                raise InputError(argument, found="values that are not whole numbers", expected="integer codes")
        low, high = int(known.min()), int(known.max())
        if (low < 0 and not missing) or (levels is not None and high >= levels):
            upper = "" if levels is None else f" to {levels - 1}"
            lower = "0" if not missing else "0, or below for missing values,"
            raise InputError(argument, found=f"codes from {low} to {high}", expected=f"codes from {lower}{upper}")
    return jnp.asarray(value).astype(jnp.int32)
