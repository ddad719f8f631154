"""A table of dependence tests: five tests of every pair of variables, adjusted for the number of pairs."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from causalrep.base.validation import check_choice, check_range
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

    Rows with a missing value in either column are left out of that pair. All tests use the same rows, so that five
    rejections of one pair are not five independent confirmations.

    Args:
        X: Numeric columns, such as traits.
        Y: Numeric columns, such as features; missing values allowed in both.
        discrete: Categorical columns of either; only pairs of such columns are tested by chi-square and G.
        tests: Names of the tests.
        alpha: Level of the column ``dependent``.
        seed: Random seed of the random features of ``"rit"``.

    Returns:
        One row per pair and test: ``x``, ``y``, ``test``, ``n`` (complete rows), ``statistic``, ``p_value`` (NaN if a
        column is constant or fewer than 20 rows are complete), ``p_adjusted`` (Benjamini and Hochberg 1995, over the
        pairs of each test) and ``dependent``, whether the adjusted value is below alpha.

    Raises:
        InputError: If an argument is wrong; the message names it.
    """
    check_range("alpha", alpha, above=0, below=1)
    for test in tests:
        check_choice("tests", test, TESTS)
    columns = _columns("X", X) | _columns("Y", Y)
    if len(X) != len(Y):
        raise InputError("Y", found=f"{len(Y)} rows", expected=f"{len(X)}, as many as X")
    if not X.index.equals(Y.index):
        raise InputError("Y", found="an index that differs from X's", expected="the same index in the same order")
    both = set(X.columns) & set(Y.columns)
    if both:
        raise InputError(
            "Y", found=f"columns that X has too: {sorted(map(str, both))}", expected="names that X does not have"
        )
    unknown = sorted(set(discrete) - set(columns))
    if unknown:
        raise InputError("discrete", found=f"unknown columns {unknown}", expected=f"columns among {list(columns)}")
    codes = {name: pd.factorize(columns[name])[0].astype(np.int32) for name in discrete}
    levels = max((int(code.max()) + 1 for code in codes.values()), default=1)
    records = []
    for number, x in enumerate(X.columns):
        for y in Y.columns:
            rows = np.isfinite(columns[x]) & np.isfinite(columns[y])
            # A key for each pair, whatever tests are asked for.
            key = jax.random.fold_in(root(seed), number * len(Y.columns) + Y.columns.get_loc(y))
            for test in tests:
                if test in CATEGORICAL and not {x, y} <= codes.keys():
                    continue
                pair = (codes[x], codes[y]) if test in CATEGORICAL else (columns[x], columns[y])
                result = _one(test, levels, key, *map(jnp.asarray, (*pair, rows)))
                enough = rows.sum() >= FEWEST_ROWS
                records.append((x, y, test, int(rows.sum()), *(float(v) if enough else np.nan for v in result)))
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


def _columns(argument: str, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Every column as float64, with NaN for missing values."""
    if not isinstance(frame, pd.DataFrame) or frame.empty:
        raise InputError(argument, found=type(frame).__name__, expected="a DataFrame with rows and columns")
    columns = {}
    for name in frame.columns:
        try:
            columns[name] = frame[name].to_numpy(dtype=float, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise InputError(argument, found=f"text in column {name!r}", expected="numbers or codes") from error
    return columns
