"""Which of these variables depend on which of those? Five tests of every pair, corrected for how many there are."""

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

    Rows with a missing value in either column are left out of that pair. The tests see the same rows: five rejections
    of one pair are not five confirmations.

    Args:
        X: Numeric columns, such as traits.
        Y: Numeric columns, such as features; missing values allowed in both.
        discrete: Columns of either that are categories; chi-square and G compare two such columns and no others.
        tests: Which tests.
        alpha: Level of the column ``dependent``.
        seed: Of the random features of ``"rit"``.

    Returns:
        A row a pair and test: ``x``, ``y``, ``test``, ``n`` (complete rows), ``statistic``, ``p_value`` (NaN where a
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
        raise InputError("Y", found=f"columns that X has too: {sorted(map(str, both))}", expected="others")
    unknown = sorted(set(discrete) - set(columns))
    if unknown:
        raise InputError("discrete", found=f"unknown columns {unknown}", expected=f"among {list(columns)}")
    codes = {name: pd.factorize(columns[name])[0].astype(np.int32) for name in discrete}
    levels = max((int(code.max()) + 1 for code in codes.values()), default=1)
    records = []
    for number, x in enumerate(X.columns):
        for y in Y.columns:
            rows = np.isfinite(columns[x]) & np.isfinite(columns[y])
            key = jax.random.fold_in(root(seed), number * len(Y.columns) + Y.columns.get_loc(y))
            for test in tests:
                if test in CATEGORICAL and not {x, y} <= codes.keys():
                    continue
                pair = (codes[x], codes[y]) if test in CATEGORICAL else (columns[x], columns[y])
                found = _one(test, levels, key, *map(jnp.asarray, (*pair, rows)))
                enough = rows.sum() >= FEWEST_ROWS
                records.append((x, y, test, int(rows.sum()), *(float(v) if enough else np.nan for v in found)))
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
    """Every column as float64, missing values NaN."""
    if not isinstance(frame, pd.DataFrame) or frame.empty:
        raise InputError(argument, found=type(frame).__name__, expected="a DataFrame with rows and columns")
    found = {}
    for name in frame.columns:
        try:
            found[name] = frame[name].to_numpy(dtype=float, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise InputError(argument, found=f"text in column {name!r}", expected="numbers or codes") from error
    return found
