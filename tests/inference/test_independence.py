"""Tests of independence: against SciPy, plain NumPy and closed forms; their size, power and missing rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from causalrep import inference
from causalrep.data import trait_simulation
from causalrep.discovery import dependence_table
from causalrep.errors import InputError
from causalrep.inference import benjamini_hochberg
from causalrep.inference.independence import chi_square_mixture

# One program for each function and shape: without jit, every operation would be compiled by itself.
chi_square = jax.jit(inference.chi_square, static_argnames="levels")
chi_square_mixture_tail = jax.jit(chi_square_mixture.chi_square_mixture_tail)
g_square = jax.jit(inference.g_square, static_argnames="levels")
hsic = jax.jit(inference.hsic, static_argnames="standardize")
kci = jax.jit(inference.kci)
rit = jax.jit(inference.rit)


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
    computed = kci(x, y)
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
        computed = hsic(*pair, standardize=standardize)
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
        computed = test(x, y, levels=(5, 3))
        expected = stats.chi2_contingency(table, correction=False, lambda_=kind)
        assert float(computed.statistic) == pytest.approx(expected.statistic, rel=1e-10)
        assert float(computed.p_value) == pytest.approx(expected.pvalue, abs=1e-10)
        constant = test(np.zeros(200, int), y, levels=(5, 3))
        assert np.isnan(constant.p_value)


def test_mixtures_of_chi_squares_have_the_right_tails(x64):
    # Weights in pairs: a sum of exponentials, whose tail is known.
    weights = np.array([3.0, 1.7, 0.9, 0.4, 0.1])
    others = [np.prod([w / (w - v) for v in weights if v != w]) for w in weights]
    for value in (1.0, 8.0, 20.0, 45.0):
        exact = sum(c * np.exp(-value / (2 * w)) for c, w in zip(others, weights, strict=True))
        computed = float(chi_square_mixture_tail(np.repeat(weights, 2), value))
        assert computed == pytest.approx(exact, rel=5e-3)
    # Equal weights leave the eight moments' equations singular: exact by three.
    for count in (1, 6):
        computed = chi_square_mixture_tail(np.full(count, 0.5), 2.0)
        assert float(computed) == pytest.approx(stats.chi2.sf(4.0, count), abs=1e-6)
    # Against simulation, with weights that fall as kernels' eigenvalues do.
    weights = 0.6 ** np.arange(25)
    draws = np.random.default_rng(1).chisquare(1, (200_000, 25)) @ weights
    for value in np.quantile(draws, [0.1, 0.5, 0.95]):
        computed = float(chi_square_mixture_tail(weights, value))
        assert computed == pytest.approx(np.mean(draws > value), abs=0.005)


@pytest.mark.parametrize("test", [kci, hsic, lambda x, y, rows=None: rit(jax.random.key(0), x, y, rows=rows)])
def test_rows_that_do_not_count_change_nothing(x64, pair, test):
    x, y = pair
    holes = np.concatenate([x[:30], np.full(7, np.nan), x[30:]]), np.concatenate([y[:30], np.ones(7), y[30:]])
    rows = np.isfinite(holes[0])
    for a, b in zip(test(x, y), test(*holes, rows=rows), strict=True):
        assert float(a) == pytest.approx(float(b), rel=1e-8)


def test_size_and_power(x64):
    """200 samples a cell; the bands are the card's, the raw units' failure is what they are warned of for."""

    keys = jax.random.split(jax.random.key(11), 200)
    samples = [
        jax.jit(jax.vmap(lambda key, link=link: trait_simulation(key, n=150, link=link)))(keys)
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
        own = kci(*(column[complete] for column in (traits["open"].to_numpy(), feature)))
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
