"""A table of dependence tests: five tests of every pair of variables, adjusted for the number of pairs."""

from collections.abc import Collection, Sequence
from decimal import Decimal
from functools import partial
from numbers import Real
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from causalrep.base.validation import check_choice, check_range, check_seed
from causalrep.errors import InputError
from causalrep.inference.independence.categorical import chi_square, g_square
from causalrep.inference.independence.kernel import hsic, kci, rit
from causalrep.inference.multiplicity import benjamini_hochberg
from causalrep.keys import root
from causalrep.precision import in_float64

TestName = Literal["kci", "rit", "hsic", "chi_square", "g_square"]
TESTS: tuple[TestName, ...] = get_args(TestName)
CATEGORICAL = ("chi_square", "g_square")
# With fewer complete rows a pair gets no p-value.
FEWEST_ROWS = 20
# What NumPy makes of a missing value in a list of words.
MISSING_WORDS = ("nan", "NaN", "None", "<NA>", "NaT")


@in_float64
def dependence_table(
    X: pd.DataFrame,
    Y: pd.DataFrame,
    *,
    discrete: Collection[str] = (),
    tests: Sequence[TestName] = TESTS,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Test every column of X against every column of Y.

    Rows with a missing value in either column (NaN, None, ``pd.NA``; in text also the word "nan") are left out of that
    pair. All tests use the same rows, so that five rejections of one pair are not five independent confirmations.

    Args:
        X: Numeric or categorical columns, such as traits.
        Y: Numeric or categorical columns, such as features; missing values allowed in both.
        discrete: Columns of either that are categories, beyond those of pandas' categorical type; they may hold text.
            Only pairs of categories are tested by chi-square and G. Categories that are numbers (not of the categorical
            type) are tested as numbers too.
        tests: Names of the tests.
        alpha: Level of the column ``dependent``.
        seed: Random seed of the random features of ``"rit"``.

    Returns:
        One row per pair and test: ``x``, ``y``, ``test``, ``n`` (complete rows), ``statistic``, ``p_value`` (NaN if a
        column is constant or fewer than 20 rows are complete), ``p_adjusted`` (Benjamini and Hochberg 1995, over the
        pairs of each test) and ``dependent``, whether the adjusted value is below alpha.

    Raises:
        InputError: If an argument is wrong; the message names it.

    >>> x, y = pd.DataFrame({"a": np.arange(40.0)}), pd.DataFrame({"b": np.arange(40.0) ** 2})
    >>> dependence_table(x, y, tests=["kci"])["dependent"].tolist()
    [True]
    """
    check_range("alpha", alpha, above=0, below=1)
    check_seed(seed)
    chosen = [tests] if isinstance(tests, str) else list(tests)
    discrete = {discrete} if isinstance(discrete, str) else set(discrete)
    for test in chosen:
        check_choice("tests", test, TESTS)
    columns, codes = {}, {}
    for argument, frame in (("X", X), ("Y", Y)):
        for name, column in _checked(argument, frame).items():
            categorical = isinstance(column.dtype, pd.CategoricalDtype)
            if categorical or name in discrete:
                codes[name] = _codes(column)
            text = pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)
            if not (categorical or (text and name in discrete)):
                columns[name] = _numbers(argument, column)
    if len(X) != len(Y):
        raise InputError("Y", found=f"{len(Y)} rows", expected=f"{len(X)}, as many as X")
    if not X.index.equals(Y.index):
        raise InputError("Y", found="an index that differs from X's", expected="the same index in the same order")
    both = set(X.columns) & set(Y.columns)
    if both:
        raise InputError(
            "Y", found=f"columns that X has too: {sorted(map(str, both))}", expected="names that X does not have"
        )
    unknown = sorted(map(str, discrete - {*X.columns, *Y.columns}))
    if unknown:
        names = [*X.columns, *Y.columns]
        raise InputError("discrete", found=f"unknown columns {unknown}", expected=f"columns among {names}")
    levels = max((int(code.max()) + 1 for code in codes.values()), default=1)
    records = []
    for number, x in enumerate(X.columns):
        for y in Y.columns:
            rows = np.logical_and(*(codes[v] >= 0 if v in codes else np.isfinite(columns[v]) for v in (x, y)))
            # A key for each pair, whatever tests are asked for.
            key = jax.random.fold_in(root(seed), number * len(Y.columns) + Y.columns.get_loc(y))
            for test in chosen:
                known = codes if test in CATEGORICAL else columns
                if not {x, y} <= known.keys():
                    continue
                enough = rows.sum() >= FEWEST_ROWS
                pair = map(jnp.asarray, (known[x], known[y], rows))
                result = _one(test, levels, key, *pair) if enough else (np.nan, np.nan)
                records.append((x, y, test, int(rows.sum()), *map(float, result)))
    table = pd.DataFrame(records, columns=["x", "y", "test", "n", "statistic", "p_value"])
    table["p_adjusted"] = table.groupby("test")["p_value"].transform(lambda p: benjamini_hochberg(p.to_numpy()))
    return table.assign(dependent=table["p_adjusted"] < alpha)


@partial(jax.jit, static_argnames=("test", "levels"))
def _one(test: str, levels: int, key: jax.Array, x: jax.Array, y: jax.Array, rows: jax.Array):
    if test in CATEGORICAL:
        return {"chi_square": chi_square, "g_square": g_square}[test](x, y, levels=(levels, levels), rows=rows)
    if test == "rit":
        return rit(key, x, y, rows=rows)
    return {"kci": kci, "hsic": hsic}[test](x, y, rows=rows)


def _checked(argument: str, frame: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(frame, pd.DataFrame) or frame.empty:
        raise InputError(argument, found=type(frame).__name__, expected="a DataFrame with rows and columns")
    twice = frame.columns[frame.columns.duplicated()].tolist()
    if twice:
        raise InputError(argument, found=f"two columns of the name {twice[0]!r}", expected="different names")
    return frame


def _codes(column: pd.Series) -> np.ndarray:
    """Codes of the categories that occur, -1 where they are missing."""
    known = column.astype(object).where(column.notna(), None)
    codes, _ = pd.factorize(known.where(~known.isin(MISSING_WORDS), None))
    return codes.astype(np.int32)


def _numbers(argument: str, column: pd.Series) -> np.ndarray:
    """The column as float64, with NaN for missing values; text of digits and dates are no numbers."""
    known = column[column.notna()]
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column)
    if not numeric and not (known.map(type).map(lambda kind: issubclass(kind, Real | Decimal | np.bool_)).all()):
        found = f"values of type {column.dtype} in column {column.name!r}"
        raise InputError(argument, found=found, expected="numbers, or categories that are named in discrete")
    values = column.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(values).any():
        raise InputError(
            argument, found=f"infinite values in column {column.name!r}", expected="finite or missing ones"
        )
    return values
