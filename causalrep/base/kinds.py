"""From whatever holds a user's data to float64 columns or labels: which kinds of values are numbers, which are missing.

Numbers and booleans of NumPy, JAX, pandas (nullable and Arrow types too), polars and any other data frame that narwhals
reads become float64. Categories, text, dates and complex numbers are refused by the name of their column: a code, a
time stamp in nanoseconds or a digit in quotation marks is not a number to regress on. A missing value in any spelling
(NaN, NaT, None, ``pd.NA``, a masked entry) becomes NaN.
"""

import datetime
import numbers
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from causalrep.errors import InputError

# What to do with columns that are not numbers, by kind.
_ADVICE = {
    "categories": "numbers (encode them first, for example by pandas.get_dummies(..., drop_first=True))",
    "text": "numbers (convert them by pandas.to_numeric, or encode categories by pandas.get_dummies)",
    "dates or times": "numbers (choose a unit, for example days since the first one)",
    "complex numbers": "real numbers",
}
_NATIVE = {"numpy", "pandas", "jax", "jaxlib", "builtins"}


class Numbers(NamedTuple):
    """Float64 data with the names that their container gave.

    Attributes:
        array: A new array, of the shape that the user gave; missing values are NaN.
        names: Names of the columns, or None if the container has none.
    """

    array: np.ndarray
    names: list[str] | None


def to_numbers(argument: str, value: Any) -> Numbers:
    """Float64 numbers of anything that holds some; always a copy, so that the caller's later changes do not reach it.

    Args:
        argument: Name of the argument in errors.
        value: The user's value.

    Raises:
        InputError: If it holds something else than numbers.
    """
    if isinstance(value, pd.DataFrame):
        names = [str(name) for name in value.columns]
        if all(dtype == np.float64 for dtype in value.dtypes):
            return Numbers(np.array(value.to_numpy(), np.float64), names)
        return Numbers(_stack([value.iloc[:, j] for j in range(value.shape[1])], argument, names, len(value)), names)
    if isinstance(value, pd.Series | pd.Index):
        name = argument if value.name is None else str(value.name)
        column = value if isinstance(value, pd.Series) else value.to_series()
        return Numbers(_column(argument, name, column), None if value.name is None else [name])
    if is_frame(value):
        return _from_narwhals(argument, value)
    if isinstance(value, np.ma.MaskedArray):
        array = _array(argument, np.asarray(value.data))
        array[np.ma.getmaskarray(value)] = np.nan
        return Numbers(array, None)
    if hasattr(value, "toarray"):
        raise InputError(argument, found="a sparse matrix", expected="a dense array (call its toarray())")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            argument, found=f"values of type {type(value).__name__}", expected="numeric columns"
        ) from error
    return Numbers(_array(argument, array), None)


def to_labels(argument: str, value: Any) -> pd.Series:
    """Labels of any type as a Series; missing ones, in any spelling, are missing to pandas too.

    Args:
        argument: Name of the argument in errors.
        value: One label per row: a Series, an array, a list or a frame of one column.

    Raises:
        InputError: If there is more than one column.
    """
    if isinstance(value, pd.DataFrame):
        if value.shape[1] != 1:
            raise InputError(argument, found=f"{value.shape[1]} columns", expected="one column of labels")
        return value.iloc[:, 0]
    if isinstance(value, pd.Series | pd.Index):
        return pd.Series(value)
    if is_frame(value):
        import narwhals as nw

        columns = nw.from_native(value, allow_series=True, eager_only=True)
        if isinstance(columns, nw.DataFrame):
            if columns.shape[1] != 1:
                raise InputError(argument, found=f"{columns.shape[1]} columns", expected="one column of labels")
            columns = columns[columns.columns[0]]
        return pd.Series(columns.to_list(), dtype=object)
    if isinstance(value, np.ma.MaskedArray):
        labels = pd.Series(np.asarray(value.data).reshape(-1)).astype(object)
        labels[np.ma.getmaskarray(value).reshape(-1)] = None
        return labels
    if isinstance(value, list | tuple):
        # An array would turn a NaN among words into the word "nan".
        return pd.Series([_single(label) for label in value], dtype=object)
    array = np.asarray(value).reshape(-1)
    labels = pd.Series(array)
    if array.dtype.kind in "US":
        # An array of text from a list with a missing value holds the word that NumPy makes of it.
        labels = labels.astype(object).where(~np.isin(array.astype(str), ["nan", "NaT", "None", "<NA>"]), None)
    return labels


def to_pandas(value: Any) -> Any:
    """A frame or series of another library as pandas', missing values kept; everything else as it is.

    For tables whose columns may hold categories; :func:`to_numbers` reads numbers from any frame directly.
    """
    if not is_frame(value):
        return value
    import narwhals as nw

    native = nw.from_native(value, allow_series=True, eager_only=True)
    if isinstance(native, nw.Series):
        return pd.Series(native.to_list(), name=native.name)
    return pd.DataFrame({series.name: series.to_list() for series in native.iter_columns()})


def is_frame(value: Any) -> bool:
    """Whether a value is a data frame or a series of another library than pandas."""
    if type(value).__module__.partition(".")[0] in _NATIVE:
        return False
    # Frames and series name their dtypes' schema, arrays do not; narwhals decides, and is imported only here.
    if not (hasattr(value, "columns") or hasattr(value, "column_names") or hasattr(value, "to_list")):
        return False
    import narwhals as nw

    native = nw.from_native(value, allow_series=True, eager_only=True, pass_through=True)
    return isinstance(native, nw.DataFrame | nw.Series)


def _from_narwhals(argument: str, value: Any) -> Numbers:
    import narwhals as nw

    native = nw.from_native(value, allow_series=True, eager_only=True)
    frame = isinstance(native, nw.DataFrame)
    names = [str(name) for name in native.columns] if frame else [native.name or argument]
    arrays = []
    for name, series in zip(names, native.iter_columns() if frame else [native]):
        if not (series.dtype.is_numeric() or series.dtype == nw.Boolean):
            if series.dtype in (nw.Categorical, nw.Enum):
                kind = "categories"
            elif series.dtype.is_temporal():
                kind = "dates or times"
            else:
                kind = "text" if series.dtype == nw.String else f"values of type {series.dtype}"
            raise _not_numbers(argument, name, kind)
        arrays.append(np.array(series.cast(nw.Float64).to_numpy(), np.float64))
    if not frame:
        return Numbers(arrays[0], [native.name] if native.name else None)
    return Numbers(np.column_stack(arrays) if arrays else np.zeros((len(native), 0)), names)


def _stack(columns: list[pd.Series], argument: str, names: list[str], rows: int) -> np.ndarray:
    kinds: dict[str, list[str]] = {}
    for name, column in zip(names, columns):
        kind = _kind(column.dtype)
        if kind is not None:
            kinds.setdefault(kind, []).append(name)
    for kind, listed in kinds.items():
        raise _not_numbers(argument, listed if len(listed) > 1 else listed[0], kind)
    array = np.empty((rows, len(columns)))
    for j, (name, column) in enumerate(zip(names, columns)):
        array[:, j] = _column(argument, name, column)
    return array


def _column(argument: str, name: str, column: pd.Series) -> np.ndarray:
    kind = _kind(column.dtype)
    if kind is not None:
        raise _not_numbers(argument, name, kind)
    if pd.api.types.is_object_dtype(column.dtype):
        return _elements(argument, column.to_numpy(), name)
    return np.array(column.to_numpy(dtype=np.float64, na_value=np.nan), np.float64)


def _kind(dtype: Any) -> str | None:
    """What the columns of a pandas type hold, or None for numbers and for objects, whose elements decide."""
    if isinstance(dtype, pd.CategoricalDtype):
        return "categories"
    if pd.api.types.is_complex_dtype(dtype):
        return "complex numbers"
    if pd.api.types.is_object_dtype(dtype):
        return None
    if pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype):
        return None
    if pd.api.types.is_string_dtype(dtype):
        return "text"
    if pd.api.types.is_datetime64_any_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        return "dates or times"
    return "dates or times" if isinstance(dtype, pd.PeriodDtype) else f"values of type {dtype}"


def _array(argument: str, array: np.ndarray) -> np.ndarray:
    kind = array.dtype.kind
    if kind in "biuf":
        return np.array(array, np.float64)
    if kind == "O":
        return _elements(argument, array, None)
    if kind in "USmMc":
        raise _not_numbers(
            argument, None, {"c": "complex numbers", "U": "text", "S": "text"}.get(kind, "dates or times")
        )
    try:
        return np.array(array.astype(np.float64))  # the short floats of machine learning
    except (TypeError, ValueError) as error:
        raise InputError(argument, found=f"values of type {array.dtype}", expected="numeric columns") from error


def _elements(argument: str, array: np.ndarray, name: str | None) -> np.ndarray:
    """Float64 of an array of Python objects, of which each is a number or missing."""
    result = np.empty(array.shape)
    for place, element in np.ndenumerate(array):
        if element is None or element is pd.NA or element is pd.NaT:
            result[place] = np.nan
        elif isinstance(element, numbers.Real | Decimal | np.bool_) or _is_number(element):
            result[place] = float(element)
        else:
            if name is None and array.ndim > 1:
                name = str(place[-1])
            if isinstance(element, str | bytes):
                kind = "text"
            elif isinstance(
                element, datetime.date | datetime.time | datetime.timedelta | np.datetime64 | np.timedelta64
            ):
                kind = "dates or times"
            else:
                kind = f"values of type {type(element).__name__}"
            raise _not_numbers(argument, name, kind)
    return result


def _is_number(element: Any) -> bool:
    """Whether an element is an array of one number, such as JAX gives."""
    return np.ndim(element) == 0 and getattr(getattr(element, "dtype", None), "kind", "") in ("b", "i", "u", "f")


def _single(label: Any) -> Any:
    """A label out of a sequence or array of one."""
    if isinstance(label, list | tuple | np.ndarray) and np.size(label) == 1:
        return np.asarray(label, dtype=object).reshape(-1)[0]
    return label


def _not_numbers(argument: str, column: str | list[str] | None, kind: str) -> InputError:
    if column is None:
        found = kind
    elif isinstance(column, list):
        found = f"{kind} in columns {column}"
    else:
        found = f"{kind} in column {column!r}"
    return InputError(argument, found=found, expected=_ADVICE.get(kind, "numeric columns"))
