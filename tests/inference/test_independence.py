"""Tests of independence: against SciPy, plain NumPy and closed forms; their size, power and missing rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from causalrep.data import trait_simulation
from causalrep.discovery import dependence_table
from causalrep.errors import InputError
from causalrep.inference import benjamini_hochberg, chi_square, g_square, hsic, kci, rit
from causalrep.inference.independence.chi_square_mixture import chi_square_mixture_tail


@pytest.fixture
def pair():
    draw = np.random.default_rng(3)
    x = draw.normal(size=60)
    return x, 0.4 * x + draw.normal(size=60)


def centred(kernel):
    h = np.eye(len(kernel)) - 1.0 / len(kernel)
    return h @ kernel @ h


def gaussian(x, precision):
    return np.exp(-precision * (x[:, None] - x) ** 2)


@pytest.mark.parametrize(("n", "width"), [(60, 0.8), (250, 0.5)])
def test_kci_is_the_gamma_test_of_its_definition(x64, n, width):
    draw = np.random.default_rng(n)
    x = draw.normal(size=n)
    y = 0.2 * x + draw.laplace(size=n)
    kernels = [centred(gaussian(stats.zscore(v, ddof=1), 0.5 / width**2)) for v in (x, y)]
    statistic = np.sum(kernels[0] * kernels[1])
    mean = np.trace(kernels[0]) * np.trace(kernels[1]) / n
    variance = 2 * np.sum(kernels[0] ** 2) * np.sum(kernels[1] ** 2) / n**2
    computed = kci(jnp.asarray(x), jnp.asarray(y))
    assert float(computed.statistic) == pytest.approx(statistic, rel=1e-10)
    expected = stats.gamma.sf(statistic, mean**2 / variance, scale=variance / mean)
    assert float(computed.p_value) == pytest.approx(expected, abs=1e-10)


def test_hsic_is_the_gamma_test_of_its_definition(x64, pair):
    n = len(pair[0])
    for standardize, (x, y) in ((False, pair), (True, [stats.zscore(v, ddof=1) for v in pair])):
        kernels = [gaussian(v, 1.0) for v in (x, y)]
        product = centred(kernels[0]) * centred(kernels[1])
        near = [(k.sum() - n) / (n * (n - 1)) for k in kernels]
        mean = (1 + near[0] * near[1] - near[0] - near[1]) / n
        factor = 2 * (n - 4) * (n - 5) / (n * (n - 1) * (n - 2) * (n - 3))
        variance = factor * (np.sum(product**2) - np.sum(np.diag(product) ** 2)) / n**2
        computed = hsic(*map(jnp.asarray, pair), standardize=standardize)
        assert float(computed.statistic) == pytest.approx(product.sum() / n**2, rel=1e-9)
        expected = stats.gamma.sf(product.sum() / n**2, mean**2 / variance, scale=variance / mean)
        assert float(computed.p_value) == pytest.approx(expected, abs=1e-9)


def test_categories_are_compared_as_scipy_does(x64):
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 4, 200), draw.integers(0, 3, 200)
    y = np.where(draw.random(200) < 0.2, x % 3, y)
    table = pd.crosstab(x, y).to_numpy()
    # One level more than occurs: it must not count.
    for test, kind in ((chi_square, "pearson"), (g_square, "log-likelihood")):
        computed = test(jnp.asarray(x), jnp.asarray(y), levels=(5, 3))
        expected = stats.chi2_contingency(table, correction=False, lambda_=kind)
        assert float(computed.statistic) == pytest.approx(expected.statistic, rel=1e-10)
        assert float(computed.p_value) == pytest.approx(expected.pvalue, abs=1e-10)
        constant = test(jnp.zeros(200, int), jnp.asarray(y), levels=(5, 3))
        assert np.isnan(constant.p_value)


def test_mixtures_of_chi_squares_have_the_right_tails(x64):
    # Weights in pairs: a sum of exponentials, whose tail is known.
    weights = np.array([3.0, 1.7, 0.9, 0.4, 0.1])
    others = [np.prod([w / (w - v) for v in weights if v != w]) for w in weights]
    for value in (1.0, 8.0, 20.0, 45.0):
        exact = sum(c * np.exp(-value / (2 * w)) for c, w in zip(others, weights, strict=True))
        computed = float(chi_square_mixture_tail(jnp.repeat(jnp.asarray(weights), 2), jnp.asarray(value)))
        assert computed == pytest.approx(exact, rel=5e-3)
    # Equal weights leave the eight moments' equations singular: exact by three.
    for count in (1, 6):
        computed = chi_square_mixture_tail(jnp.full(count, 0.5), jnp.asarray(2.0))
        assert float(computed) == pytest.approx(stats.chi2.sf(4.0, count), abs=1e-6)
    # Against simulation, with weights that fall as kernels' eigenvalues do.
    weights = 0.6 ** np.arange(25)
    draws = np.random.default_rng(1).chisquare(1, (200_000, 25)) @ weights
    for value in np.quantile(draws, [0.1, 0.5, 0.95]):
        computed = float(chi_square_mixture_tail(jnp.asarray(weights), jnp.asarray(value)))
        assert computed == pytest.approx(np.mean(draws > value), abs=0.005)


@pytest.mark.parametrize("test", [kci, hsic, lambda x, y, rows=None: rit(jax.random.key(0), x, y, rows=rows)])
def test_rows_that_do_not_count_change_nothing(x64, pair, test):
    x, y = map(jnp.asarray, pair)
    holes = jnp.concatenate([x[:30], jnp.full(7, jnp.nan), x[30:]]), jnp.concatenate([y[:30], jnp.ones(7), y[30:]])
    rows = jnp.isfinite(holes[0])
    for a, b in zip(test(x, y), test(*holes, rows=rows), strict=True):
        assert float(a) == pytest.approx(float(b), rel=1e-8)


def test_size_and_power(x64):
    """200 samples a cell; the bands are the card's, the raw units' failure is what they are warned of for."""

    keys = jax.random.split(jax.random.key(11), 200)
    samples = [
        jax.vmap(lambda key, link=link: trait_simulation(key, n=150, link=link))(keys)
        for link in ("independent", "linear", "u-shaped")
    ]

    @jax.jit
    def rejected(samples):
        def one(key, sample):
            trait = sample.trait.astype(float)
            computed = [
                kci(trait, sample.feature),
                rit(key, trait, sample.feature),
                hsic(trait, sample.feature),
                hsic(trait, 30.0 * sample.feature, standardize=False),
            ]
            return jnp.stack([result.p_value < 0.05 for result in computed])

        return jnp.mean(jax.vmap(one)(keys, samples), axis=0)

    # One program for all three.
    size, power, curved = (np.asarray(rejected(sample)) for sample in samples)
    assert (size < 0.11).all(), size
    assert (power[:3] > 0.35).all(), power
    assert (curved[:3] > 0.7).all(), curved
    assert power[3] < power[2] - 0.15


def test_the_table_finds_what_depends_and_leaves_missing_rows_out():
    draw = np.random.default_rng(5)
    n = 250
    feature = draw.normal(size=n)
    traits = pd.DataFrame({"open": (feature + draw.normal(size=n)).round(), "kind": draw.integers(1, 4, n)})
    features = pd.DataFrame({"height": feature, "month": draw.integers(1, 5, n)})
    features.loc[:20, "height"] = np.nan
    table = dependence_table(traits, features, discrete=["kind", "month"])
    assert set(table["test"]) == {"kci", "rit", "hsic", "chi_square", "g_square"}
    assert len(table) == 4 * 3 + 2, "chi-square and G compare the one categorical pair"
    cells = table.set_index(["x", "y", "test"]).sort_index()
    assert cells.loc["open", "height"]["dependent"].all()
    assert (cells.loc["open", "height"]["n"] == n - 21).all()
    assert not cells.loc["kind", "month"]["dependent"].any()
    expected = stats.chi2_contingency(pd.crosstab(traits["kind"], features["month"]), correction=False).pvalue
    assert cells.loc[("kind", "month", "chi_square"), "p_value"] == pytest.approx(expected, abs=1e-10)
    complete = features["height"].notna().to_numpy()
    with jax.enable_x64(True):
        own = kci(*(jnp.asarray(column[complete]) for column in (traits["open"].to_numpy(), feature)))
    assert cells.loc[("open", "height", "kci"), "p_value"] == pytest.approx(float(own.p_value), abs=1e-12)
    kernel = table[table["test"] == "kci"]
    np.testing.assert_allclose(kernel["p_adjusted"], stats.false_discovery_control(kernel["p_value"]), atol=1e-12)
    for wrong, argument in (
        ({"discrete": ["age"]}, "discrete"),
        ({"tests": ["cor"]}, "tests"),
        ({"alpha": 2.0}, "alpha"),
    ):
        with pytest.raises(InputError, match=argument):
            dependence_table(traits, features, **wrong)
    with pytest.raises(InputError, match="columns that X has too"):
        dependence_table(traits, traits)


def test_a_constant_column_has_no_p_value():
    frame = pd.DataFrame({"a": np.ones(40)})
    table = dependence_table(frame, pd.DataFrame({"b": np.arange(40.0)}), tests=["kci", "hsic", "rit"])
    assert table["p_value"].isna().all()
    assert not table["dependent"].any()


def test_adjusted_p_values_are_scipys():
    p = np.random.default_rng(2).uniform(size=30) ** 2
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p), atol=1e-12)


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
