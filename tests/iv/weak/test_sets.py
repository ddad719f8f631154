"""Confidence sets by test inversion: published numbers, peers, brute force, bad input."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.linalg
from ivmodels.tests import (
    inverse_anderson_rubin_test,
    inverse_conditional_likelihood_ratio_test,
    inverse_lagrange_multiplier_test,
    inverse_likelihood_ratio_test,
)
from scipy import stats

from causalrep.errors import InputError
from causalrep.iv import System, TwoStageLeastSquares
from causalrep.iv.system import moments, reduced_form
from causalrep.iv.weak import (
    anderson_rubin_set,
    clr_set,
    lm_set,
    lr_set,
)
from causalrep.iv.weak.inversion import as_confidence_set, level_region
from causalrep.iv.weak.statistics import anderson_rubin_statistic, clr_statistic, lm_statistic, lr_statistic
from causalrep.precision import float64
from tests.iv.designs import SEED, simulate


def set_of(function, y, x, z, c=None, **options):
    """The set of data whose controls already hold the constant."""
    return function(y, x, c, Z=z, fit_intercept=False, **options)


PAIRS = {
    "AR": (anderson_rubin_set, anderson_rubin_statistic),
    "LM": (lm_set, lm_statistic),
    "LR": (lr_set, lr_statistic),
    "CLR": (clr_set, clr_statistic),
}


def test_sets_of_card(card):
    y, x, z, c, _ = card
    one = z[:, :1]
    np.testing.assert_allclose(set_of(anderson_rubin_set, y, x, one, c).intervals, [(0.0248, 0.2848)], atol=5e-5)
    chi2 = set_of(anderson_rubin_set, y, x, one, c, distribution="chi2")
    np.testing.assert_allclose(chi2.intervals, [(0.0249, 0.2847)], atol=5e-5)
    assert set_of(clr_set, y, x, one, c).intervals == chi2.intervals == set_of(lm_set, y, x, one, c).intervals
    np.testing.assert_allclose(set_of(anderson_rubin_set, y, x, z, c).intervals, [(0.0536, 0.3620)], atol=5e-5)
    np.testing.assert_allclose(set_of(clr_set, y, x, z, c).intervals, [(0.0621, 0.3362)], atol=5e-5)


def test_sets_of_mroz(mroz):
    np.testing.assert_allclose(set_of(anderson_rubin_set, *mroz).intervals, [(-0.0190, 0.1351)], atol=5e-5)
    chi2 = set_of(anderson_rubin_set, *mroz, distribution="chi2")
    np.testing.assert_allclose(chi2.intervals, [(-0.0187, 0.1348)], atol=5e-5)


@pytest.mark.parametrize("covariance", ["homoskedastic", "HC1"])
def test_a_useless_instrument_gives_the_whole_line(bwght, covariance):
    for invert in (anderson_rubin_set, lm_set, clr_set):
        assert set_of(invert, *bwght, covariance=covariance).kind == "line"


@pytest.mark.parametrize("p", [1, 2])
def test_sets_equal_ivmodels(p):
    y, x, z, c, _ = simulate(SEED, p=p, n=300)
    args, kw = (z, x[:, :1], y), {"C": c[:, 1:], "W": x[:, 1:] if p > 1 else None}

    def boundary(result):
        return np.sort(np.asarray(result._boundary()).ravel())

    def ours(s):
        return np.sort([end for pair in s.intervals for end in pair if np.isfinite(end)])

    for mine, theirs, tolerance in (
        (set_of(anderson_rubin_set, y, x, z, c), inverse_anderson_rubin_test(*args, **kw, critical_values="f"), 1e-7),
        (set_of(lr_set, y, x, z, c), inverse_likelihood_ratio_test(*args, **kw), 1e-7),
        (set_of(clr_set, y, x, z, c), inverse_conditional_likelihood_ratio_test(*args, **kw, tol=1e-9), 1e-5),
    ):
        np.testing.assert_allclose(ours(mine), boundary(theirs), rtol=tolerance, err_msg=f"seed {SEED}")
    if p == 1:  # theirs looks for roots outwards from LIML and may stop before the second piece
        theirs = boundary(inverse_lagrange_multiplier_test(*args, **kw, tol=1e-9))
        mine = ours(set_of(lm_set, y, x, z, c))
        assert all(np.min(np.abs(mine - end)) < 1e-5 * (1 + abs(end)) for end in theirs if abs(end) < 1e4)


def design(seed, strength, invalid=0.0, k=3, n=120, heteroskedastic=False):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k))
    u = rng.normal(size=n)
    x = z @ (strength * rng.choice([0.5, 1.0, 1.5], k)) + 0.9 * u + 0.5 * rng.normal(size=n)
    spread = np.exp(0.5 * z[:, 0]) if heteroskedastic else 1.0
    y = 0.5 * x + u * spread + invalid * z[:, 0]
    return y, x[:, None], z, np.ones((n, 1)), np.arange(n) % 20


@partial(jax.jit, static_argnames=("name", "covariance"))
def _p_values(name, b, y, x, z, c, clusters, covariance):
    options = {} if name == "LR" else {"covariance": covariance}
    return jax.vmap(lambda v: PAIRS[name][1](System(y, x, z, c, clusters), v, **options).p_value)(b)


def brute_force_disagreements(name, s, data, covariance):
    """Values at which set and test disagree, but for those within rounding of an end."""
    b = np.concatenate([np.linspace(-6, 6, 1501), np.tan(np.linspace(-1.5705, 1.5705, 500))])
    with float64():
        p_value = np.asarray(_p_values(name, b, *data, covariance=covariance))
    inside = np.array([v in s for v in b])
    return b[(inside != (p_value >= 0.05)) & (np.abs(p_value - 0.05) > 1e-7)]


STRENGTHS = [0.0, 0.02, 0.05, 0.1, 0.2, 0.5]
CASES = [(seed, strength, invalid) for seed in range(4) for strength in STRENGTHS for invalid in (0.0, 0.6)]


@pytest.mark.parametrize("name", PAIRS)
def test_homoskedastic_sets_are_brute_force_inversions(name):
    kinds = set()
    for case in CASES:
        data = design(*case)
        s = set_of(PAIRS[name][0], *data[:4])
        kinds.add(s.kind)
        assert not len(brute_force_disagreements(name, s, data, "homoskedastic")), (case, s)
    expected = {"AR": {"interval", "rays", "line", "empty"}, "LM": {"union", "line"}}
    assert kinds >= expected.get(name, {"interval", "rays", "line"}), kinds


@pytest.mark.parametrize("covariance", ["HC1", "cluster"])
@pytest.mark.parametrize("name", ["AR", "LM", "CLR"])
def test_robust_sets_are_brute_force_inversions(name, covariance):
    kinds = set()
    for case in CASES[::3]:
        data = design(*case, heteroskedastic=True)
        s = set_of(
            PAIRS[name][0], *data[:4], covariance=covariance, clusters=data[4] if covariance == "cluster" else None
        )
        kinds.add(s.kind)
        assert not len(brute_force_disagreements(name, s, data, covariance)), (case, s)
    assert len(kinds) >= 3, kinds


def test_robust_anderson_rubin_ends_solve_the_quadratic_eigenproblem():
    # AR(b) = crit exactly where crit S(b) - g(b) g(b)' is singular: a quadratic eigenvalue problem in b.
    for seed in range(5):
        y, x, z, c, _ = design(seed, 0.4, heteroskedastic=True)
        s = set_of(anderson_rubin_set, y, x, z, c, covariance="HC1", distribution="chi2")
        with float64():
            form = reduced_form(System(y, x, z, c), "HC1")
        (d, pi), v = np.asarray(form.coefficients).T, np.asarray(form.covariance)
        critical, k = stats.chi2.isf(0.05, 3), 3
        a0 = critical * v[0, :, 0] - np.outer(d, d)
        a1 = -critical * (v[0, :, 1] + v[1, :, 0]) + np.outer(d, pi) + np.outer(pi, d)
        a2 = critical * v[1, :, 1] - np.outer(pi, pi)
        zero, one = np.zeros((k, k)), np.eye(k)
        roots = scipy.linalg.eigvals(np.block([[zero, one], [-a0, -a1]]), np.block([[one, zero], [zero, a2]]))
        real = np.sort(roots.real[np.abs(roots.imag) < 1e-7])
        ends = np.sort([end for pair in s.intervals for end in pair if np.isfinite(end)])
        np.testing.assert_allclose(ends, real, rtol=1e-8)


@pytest.mark.parametrize("name", PAIRS)
def test_sets_of_one_of_two_coefficients_are_brute_force_inversions(name):
    invert, test = PAIRS[name]
    grid = np.concatenate([np.linspace(-5, 5, 801), np.tan(np.linspace(-1.57, 1.57, 200))])
    for seed, scale in ((0, 1.0), (1, 0.3), (2, 0.05)):
        y, x, z, c, _ = simulate(seed, n=150)
        x = x - (1 - scale) * z @ np.linalg.lstsq(z, x)[0]  # weaken the first stage
        for j in (0, 1):
            s = set_of(invert, y, x, z, c, treatment=j)
            with float64():
                p = jax.jit(jax.vmap(lambda b: test(System(y, x, z, c), b, index=j).p_value))(grid)  # noqa: B023
            p = np.asarray(p)
            inside = np.array([b in s for b in grid])
            wrong = (inside != (p >= 0.05)) & (np.abs(p - 0.05) > 1e-7)
            assert not wrong.any(), (seed, j, s, grid[wrong])


def test_equivariance_to_units_and_shifts(card):
    y, x, z, c, _ = card
    for invert in (anderson_rubin_set, lm_set, clr_set):
        for options in ({}, {"covariance": "HC1"}):
            base = np.array(set_of(invert, y, x, z, c, **options).intervals)
            scaled = set_of(invert, 1e3 * y + 5 * x[:, 0], x * 1e-2, z @ [[1.0, 2.0], [0.5, -1.0]], c, **options)
            np.testing.assert_allclose(scaled.intervals, 1e5 * base + 500, rtol=1e-7)


def test_weak_and_strong_limits_of_clr():
    y, x, z, c, _ = design(0, 3.0, n=4000)
    wald = np.diff(set_of(lr_set, y, x, z, c).intervals)
    np.testing.assert_allclose(np.diff(set_of(clr_set, y, x, z, c).intervals), wald, rtol=1e-3)
    assert set_of(clr_set, y, x, z, c).length < set_of(anderson_rubin_set, y, x, z, c).length


def test_vmapped_regions_equal_the_sets():
    stack = [np.stack(v) for v in zip(*(design(s, w)[:4] for s in range(3) for w in STRENGTHS))]
    critical = 3 * stats.f.isf(0.05, 3, 116)

    def region(y, x, z, c):
        m = moments(System(y, x, z, c))
        return level_region(m.projected, m.residual / 116, critical)

    with float64():
        regions = jax.jit(jax.vmap(region))(*stack)
    for i in range(len(stack[0])):
        one = as_confidence_set(jax.tree.map(lambda v: v[i], regions))  # noqa: B023
        expected = set_of(anderson_rubin_set, *(v[i] for v in stack))
        np.testing.assert_allclose(one.intervals, expected.intervals, rtol=1e-9)


def test_pandas_names_reach_the_set():
    y, x, z, c, _ = simulate(0)
    frame = pd.DataFrame(x, columns=["educ", "exper"])
    s = clr_set(pd.Series(y), frame, pd.DataFrame(c[:, 1:]), Z=pd.DataFrame(z), treatment="exper")
    assert (s.parameter, s.method, s.level) == ("exper", "CLR", 0.95)
    np.testing.assert_allclose(s.intervals, set_of(clr_set, y, x, z, c, treatment=1).intervals, rtol=1e-9)


def test_a_constant_is_added_as_in_fit(card):
    y, x, z, c, region = card
    fitted = TwoStageLeastSquares(covariance="cluster").fit(y, x, X=c[:, 1:], Z=z, clusters=region)
    for method, function in (("ar", anderson_rubin_set), ("clr", clr_set), ("lm", lm_set)):
        here = function(y, x, c[:, 1:], Z=z, covariance="cluster", clusters=region)
        assert here == fitted.confidence_set(method)
        plain = function(y, x, c[:, 1:], Z=z)
        assert plain == fitted.confidence_set(method, covariance="homoskedastic")
        np.testing.assert_allclose(plain.intervals, set_of(function, y, x, z, c).intervals, rtol=1e-8)
    with pytest.raises(InputError, match=r"^X: found columns \['X0'\] that are linear combinations"):
        clr_set(y, x, c, Z=z)


@pytest.mark.parametrize(
    ("argument", "changes"),
    [
        ("Y", {"Y": np.r_[np.nan, np.zeros(119)]}),
        ("T", {"T": np.full((120, 1), np.inf)}),
        ("Z", {"Z": np.ones((100, 3))}),
        ("Z", {"Z": np.ones((120, 1))}),  # constant, with a constant among the controls
        ("Z", {"T": np.random.default_rng(0).normal(size=(120, 4))}),  # fewer instruments than treatments
        ("X", {"X": np.ones((120, 2))}),
        ("T", {"T": np.ones((120, 1))}),
        ("alpha", {"alpha": 0.0}),
        ("alpha", {"alpha": 1.0}),
        ("covariance", {"covariance": "HC7"}),
        ("clusters", {"covariance": "cluster"}),
        ("clusters", {"clusters": np.arange(120) % 9}),
        ("clusters", {"covariance": "cluster", "clusters": np.zeros(120)}),
        ("treatment", {"treatment": 1}),
        ("treatment", {"treatment": "wage"}),
        ("Y", {"Y": pd.Series(dtype=float)}),
    ],
)
def test_bad_input_is_named(argument, changes):
    y, x, z, _, _ = design(0, 0.5)
    for invert in (anderson_rubin_set, clr_set, lm_set):
        with pytest.raises(InputError, match=rf"^{argument}: found"):
            invert(**{"Y": y, "T": x, "Z": z} | changes)


def test_robust_sets_of_one_of_several_coefficients_are_refused():
    y, x, z, c, _ = simulate(0)
    with pytest.raises(InputError, match=r"^covariance: found 'HC1' with 2"):
        clr_set(y, x, c[:, 1:], Z=z, covariance="HC1")


def test_importing_leaves_the_precision_alone():
    assert jnp.ones(1).dtype == jnp.float32
