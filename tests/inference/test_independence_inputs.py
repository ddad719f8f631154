"""Tests of independence on ordinary nasty input: units, constants, missing codes, and what cannot be tested.

The functions are called without jit, since values are checked only where they are known.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from causalrep.discovery import dependence_table
from causalrep.errors import InputError
from causalrep.inference import benjamini_hochberg, chi_square, g_square, hsic, kci, rit


@pytest.fixture
def pair():
    """Two variables that depend on each other."""
    draw = np.random.default_rng(3)
    x = draw.normal(size=60)
    return x, 0.4 * x + draw.normal(size=60)


def _all_tests(x, y):
    return [kci(x, y), hsic(x, y), rit(jax.random.key(0), x, y)]


def test_units_and_types_of_numbers_do_not_matter(pair):
    x, y = pair
    expected = np.array(_all_tests(x, y))
    for a, b in ((1e-30, 1e30), (1e6, 1e-9)):
        np.testing.assert_allclose(_all_tests(a * x + a, b * y), expected, rtol=1e-6)
        narrow = [jnp.asarray(v, jnp.float32) for v in (a * x, b * y)]
        # The features of rit are drawn in the precision of the data.
        np.testing.assert_allclose(_all_tests(*narrow)[:2], expected[:2], rtol=1e-4)
    half = jnp.asarray(x, jnp.bfloat16)
    np.testing.assert_array_equal(_all_tests(half, y.astype(np.float32)), _all_tests(*map(np.float32, (half, y))))
    assert np.isfinite(_all_tests(np.arange(60), (np.arange(60) * 7) % 11)).all()


def test_what_is_constant_up_to_rounding_has_no_p_value(x64, pair):
    x, _ = pair
    for dtype in (np.float32, np.float64):
        flat = np.where(np.arange(60) % 3 == 0, 0.3, 0.1 + 0.2).astype(dtype)
        assert np.isnan(_all_tests(x.astype(dtype), flat)).all()
        # Beside a column that varies it changes nothing.
        both = np.column_stack([x, flat]).astype(dtype)
        np.testing.assert_allclose(
            _all_tests(both, x.astype(dtype))[0], kci(x.astype(dtype), x.astype(dtype)), rtol=1e-3
        )
    inside = np.arange(60) > 20
    holes = np.where(inside, 0.1, np.nan)
    assert np.isnan(kci(x, holes, rows=inside).p_value)


def test_kernel_tests_refuse_what_they_cannot_test(pair):
    x, y = pair
    inside = np.arange(60) > 20
    hole = np.where(np.arange(60) == 30, np.nan, y)
    for test in (kci, hsic, lambda x, y, rows=None: rit(jax.random.key(0), x, y, rows=rows)):
        for a, b, rows, name in (
            (x, hole, None, "y"),
            (x, hole, inside, "y"),
            (x, y[:-1], None, "y"),
            (x[:5], y[:5], None, "x"),
            (x, y, np.arange(60) < 5, "rows"),
            (x, y, inside[:-1], "rows"),
            (x, y.astype(complex), None, "y"),
            (pd.Series(x), pd.Series(y, index=np.arange(60)[::-1]), None, "y"),
        ):
            with pytest.raises(InputError, match=f"^{name}: "):
                test(a, b, rows=rows)
        assert np.isfinite(test(x, hole, rows=np.arange(60) != 30)).all()
    with pytest.raises(InputError, match="features"):
        rit(jax.random.key(0), x, y, features=0)


def test_sorted_rows_give_the_same_test():
    """The width of rit's kernel came from the first rows, which are all alike in a sorted file."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    y = 0.1 * x**2 + rng.normal(size=4000)
    order = np.argsort(x)
    for test in (kci, hsic):
        a, b = test(x[:500], y[:500]), test(x[:500][::-1], y[:500][::-1])
        np.testing.assert_allclose(a, b, rtol=1e-9)
    drawn, ordered = rit(jax.random.key(0), x, y), rit(jax.random.key(0), x[order], y[order])
    assert float(ordered.statistic) == pytest.approx(float(drawn.statistic), rel=0.15)


@pytest.mark.parametrize("test", [chi_square, g_square])
def test_missing_codes_are_left_out_and_wrong_ones_refused(test):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, 400)
    y = np.where(rng.random(400) < 0.5, x, rng.integers(0, 3, 400))
    x, y = np.where(rng.random(400) < 0.1, -1, x), np.where(rng.random(400) < 0.1, -1, y)
    present = (x >= 0) & (y >= 0)
    expected = test(x[present], y[present], levels=(3, 3))
    np.testing.assert_allclose(test(x, y, levels=(3, 3)), expected, rtol=1e-6)
    np.testing.assert_allclose(test(np.where(present, x, 99), y, levels=(3, 3), rows=present), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(lambda x, y: test(x, y, levels=(3, 3)))(x, y), expected, rtol=1e-6)
    # A product of int8 codes does not fit into int8.
    wide, narrow = rng.integers(0, 20, (2, 400)), np.int8
    np.testing.assert_array_equal(test(*wide.astype(narrow), levels=(20, 20)), test(*wide, levels=(20, 20)))
    assert np.isnan(jax.jit(lambda x, y: test(x, y, levels=(2, 3)))(x, y)).all(), "traced codes that are too large"
    for a, b, levels, name in (
        (x, y, (2, 3), "x"),
        (x, y, (3, 2), "y"),
        (x + 0.5, y, (9, 9), "x"),
        (x, y[:-1], (3, 3), "y"),
        (x, y, (3, 0), "levels"),
        (x, y, 3, "levels"),
        (x.astype(str), y, (3, 3), "x"),
        (pd.Series(x), pd.Series(y, index=np.arange(400)[::-1]), (3, 3), "y"),
    ):
        with pytest.raises(InputError, match=f"^{name}: "):
            test(a, b, levels=levels)
    assert np.isnan(test(x, np.full(400, -1), levels=(3, 3)).p_value)


def test_the_table_reads_categories_by_type_and_missing_in_every_spelling():
    rng = np.random.default_rng(0)
    n = 200
    number = rng.normal(size=n)
    word = np.where(number > 0, "high", "low").astype(object)
    word[:4] = [None, np.nan, pd.NA, "nan"]
    x = pd.DataFrame({"word": word, "kind": pd.Categorical(rng.integers(0, 3, n))})
    y = pd.DataFrame({"number": number, "side": pd.Categorical(np.where(number > 0, "r", "l"))})
    table = dependence_table(x, y, discrete=["word"]).set_index(["x", "y", "test"]).sort_index()
    assert set(table.index) == {(a, "side", test) for a in ("word", "kind") for test in ("chi_square", "g_square")}
    assert table.loc[("word", "side", "chi_square"), "n"] == n - 4
    assert table.loc["word", "side"]["dependent"].all()
    assert not table.loc["kind", "side"]["dependent"].any()
    spelled = pd.DataFrame(
        {"a": pd.array([None, pd.NA, *number[2:]], dtype="Float64"), "b": [None, np.nan, *number[2:]]}
    )
    assert (dependence_table(spelled.astype({"b": object}), y[["number"]], tests="hsic")["n"] == n - 2).all()
    for column, found in (
        (word, "in column 'a'"),
        (number.astype(str), "in column 'a'"),
        (pd.date_range("2020", periods=n), "datetime64"),
        (np.where(number > 2, np.inf, number), "infinite values in column 'a'"),
        (number + 1j, "complex"),
    ):
        with pytest.raises(InputError, match=f"^X: found .*{found}"):
            dependence_table(pd.DataFrame({"a": column}), y)
    with pytest.raises(InputError, match="two columns"):
        dependence_table(pd.concat([x, x], axis=1), y)
    with pytest.raises(InputError, match="seed"):
        dependence_table(x[["kind"]], y[["number"]], seed=0.5)


def test_p_values_outside_of_the_unit_interval_are_refused():
    for wrong in ([0.1, 1.2], [-0.1, np.nan], [[0.1, 0.2]]):
        with pytest.raises(InputError, match=r"^p: "):
            benjamini_hochberg(np.array(wrong))
