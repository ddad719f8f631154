"""Tests of a hypothesised value: peers, invariances, transformations, the conditional distribution."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import statsmodels.api as sm
from ivmodels.tests import (
    anderson_rubin_test as iv_ar,
)
from ivmodels.tests import (
    conditional_likelihood_ratio_test as iv_clr,
)
from ivmodels.tests import (
    lagrange_multiplier_test as iv_lm,
)
from ivmodels.tests import (
    likelihood_ratio_test as iv_lr,
)
from scipy import stats

from causalrep.errors import InputError
from causalrep.iv import System
from causalrep.iv.weak import anderson_rubin_test, clr_test, lm_test, lr_test
from causalrep.iv.weak.conditional import conditional_p_value
from causalrep.iv.weak.statistics import anderson_rubin_statistic, clr_statistic, lm_statistic, lr_statistic
from tests.iv.designs import SEED, simulate

ALL = (anderson_rubin_statistic, lm_statistic, lr_statistic, clr_statistic)
PUBLIC = (anderson_rubin_test, lm_test, lr_test, clr_test)
BOUND = "kleibergen2007generalizing"


@pytest.mark.parametrize("p", [1, 2])
def test_joint_tests_equal_ivmodels(x64, p):
    y, x, z, c, _ = simulate(SEED, p=p)
    beta = np.random.default_rng(SEED).normal(size=p) * 0.3
    args, kw = (z, x, y, beta), {"C": c[:, 1:]}
    for ours, theirs in (
        (anderson_rubin_statistic(System(y, x, z, c), beta), iv_ar(*args, **kw, critical_values="f")),
        (lm_statistic(System(y, x, z, c), beta), iv_lm(*args, **kw)),
        (lr_statistic(System(y, x, z, c), beta), iv_lr(*args, **kw)),
    ):
        np.testing.assert_allclose(ours[:2], theirs, rtol=1e-8, atol=1e-13, err_msg=f"seed {SEED}")
    theirs = iv_clr(*args, **kw, critical_values=BOUND, tol=1e-10)
    np.testing.assert_allclose(clr_statistic(System(y, x, z, c), beta)[:2], theirs, rtol=1e-8, atol=1e-9)


def test_tests_of_one_of_two_coefficients_equal_ivmodels(x64):
    y, x, z, c, _ = simulate(SEED)
    for j in (0, 1):
        kw = {"W": x[:, [1 - j]], "C": c[:, 1:]}
        args = (z, x[:, [j]], y, np.array([0.2]))
        pairs = (
            (anderson_rubin_statistic(System(y, x, z, c), 0.2, index=j), iv_ar(*args, **kw, critical_values="f")),
            (lr_statistic(System(y, x, z, c), 0.2, index=j), iv_lr(*args, **kw)),
        )
        for ours, theirs in pairs:
            np.testing.assert_allclose(ours[:2], theirs, rtol=1e-8, atol=1e-13, err_msg=f"seed {SEED}")
        theirs = iv_clr(*args, **kw, critical_values="moreira2003conditional", tol=1e-10)
        np.testing.assert_allclose(clr_statistic(System(y, x, z, c), 0.2, index=j)[:2], theirs, rtol=1e-8, atol=1e-9)
        # ivmodels minimises LM over the other coefficient; here it takes its LIML value under the null.
        least = iv_lm(*args, **kw)[0]
        assert lm_statistic(System(y, x, z, c), 0.2, index=j).statistic >= least - 1e-6 * (1 + least)


@pytest.mark.parametrize("covariance", ["HC0", "HC1", "cluster"])
def test_robust_anderson_rubin_is_a_robust_f_test(x64, covariance):
    # AR is the F test that the instruments have no part in y - x beta0 given the controls.
    y, x, z, c, groups = simulate(SEED)
    beta, k = np.array([0.3, -0.1]), z.shape[1]
    options = {"cov_kwds": {"groups": groups}} if covariance == "cluster" else {}
    fit = sm.OLS(y - x @ beta, np.column_stack([z, c])).fit(cov_type=covariance, **options)
    ours = anderson_rubin_statistic(System(y, x, z, c, groups), beta, covariance=covariance)
    np.testing.assert_allclose(ours.statistic, fit.f_test(np.eye(k, k + c.shape[1])).fvalue, rtol=1e-8)


def test_robust_forms_reduce_to_the_homoskedastic_ones(x64):
    # Instruments that switch on one at a time, and noise repeated for each: HC1 then equals homoskedastic.
    rng = np.random.default_rng(SEED)
    z = np.repeat(np.eye(4), 50, axis=0) * np.sqrt(4.0)
    base = rng.normal(size=(50, 2))
    base -= base.mean(axis=0)
    w = np.tile(base, (4, 1)) + z @ rng.normal(size=(4, 2)) * 0.2
    y, x = w[:, 0], w[:, 1:]
    for test in (anderson_rubin_statistic, lm_statistic, clr_statistic):
        np.testing.assert_allclose(
            test(System(y, x, z), 0.3, covariance="HC1")[:2],
            test(System(y, x, z), 0.3)[:2],
            rtol=1e-8,
            err_msg=test.__name__,
        )


def test_invariance_to_rotation_scale_and_controls(x64):
    y, x, z, c, groups = simulate(SEED, p=1)
    rng = np.random.default_rng(SEED)
    rotated = z @ rng.normal(size=(4, 4)) * 1e3 + c @ rng.normal(size=(2, 4))
    for covariance in ("homoskedastic", "HC1", "cluster"):
        options = {"covariance": covariance}
        for test in (anderson_rubin_statistic, lm_statistic, clr_statistic):
            base = test(System(y, x, z, c, groups), 0.4, **options)
            np.testing.assert_allclose(test(System(y, x, rotated, c, groups), 0.4, **options)[:2], base[:2], rtol=1e-6)
            # Units of x: beta0 scales inversely. Units of y: in proportion. Controls in y: no effect.
            np.testing.assert_allclose(test(System(y, x * 1e3, z, c, groups), 4e-4, **options)[:2], base[:2], rtol=1e-8)
            np.testing.assert_allclose(
                test(System(1e3 * y + 7, x, z, c, groups), 400.0, **options)[:2], base[:2], rtol=1e-8
            )


def reference_clr(m, r, k):
    # Given B = s^2 ~ chi2(k - 1), LR > m just when A > m (m + r - B) / (m + r), A ~ chi2(1).
    def integrand(s):
        return stats.chi2.sf(max(m * (m + r - s * s) / (m + r), 0.0), 1) * stats.chi.pdf(s, k - 1)

    top = max(np.sqrt(k) + 12, 12.0)
    cuts = [0.0, *np.linspace(0.5, top, 30), np.sqrt(m + r)]
    cuts = sorted(cut for cut in cuts if cut <= top)
    pieces = (scipy.integrate.quad(integrand, *pair, epsabs=1e-13)[0] for pair in itertools.pairwise(cuts))
    return sum(pieces)


@pytest.mark.parametrize("k", [2, 3, 5, 30])
def test_conditional_p_value_equals_adaptive_integration(x64, k):
    for m in (1e-5, 0.3, 4.0, 25.0):
        for r in (0.5, 20.0, 1e4):
            expected = reference_clr(m, r, k)
            np.testing.assert_allclose(
                conditional_p_value(jnp.array(m), jnp.array(r), k),
                expected,
                rtol=1e-8,
                atol=1e-5 if m < 0.01 else 1e-11,
                err_msg=f"{m} {r}",
            )


def test_conditional_p_value_by_simulation_and_at_its_limits(x64):
    rng = np.random.default_rng(3)
    a, b = rng.chisquare(1, 400_000), rng.chisquare(4, 400_000)
    for r in (1.0, 10.0):
        lr = (a + b - r + np.sqrt((a + b + r) ** 2 - 4 * b * r)) / 2
        for m in (1.0, 5.0, 9.0):
            assert abs(conditional_p_value(jnp.array(m), jnp.array(r), 5) - np.mean(lr > m)) < 0.004
    m = jnp.array([0.5, 3.84, 12.0])
    np.testing.assert_allclose(conditional_p_value(m, jnp.zeros(3), 5), stats.chi2.sf(m, 5), rtol=1e-10)
    np.testing.assert_allclose(conditional_p_value(m, jnp.full(3, 1e12), 5), stats.chi2.sf(m, 1), rtol=1e-6)
    np.testing.assert_allclose(conditional_p_value(jnp.array(0.0), jnp.array(0.0), 5), 1.0, rtol=1e-14)


def test_jit_vmap_over_values_and_data_equals_loop(x64):
    batch = [np.stack(v) for v in zip(*(simulate(s, p=1)[:4] for s in (1, 2, 3)))]
    grid = np.linspace(-2, 2, 5)
    for test in ALL:

        def p_value(b, *data, test=test):
            return test(System(*data), b).p_value

        both = jax.jit(jax.vmap(jax.vmap(p_value, (0, None, None, None, None)), (None, 0, 0, 0, 0)))(grid, *batch)
        loop = [[p_value(b, *(v[i] for v in batch)) for b in grid] for i in range(3)]
        np.testing.assert_allclose(both, loop, rtol=1e-7, atol=1e-12, err_msg=test.__name__)


def test_p_values_have_gradients(x64):
    y, x, z, c, _ = simulate(SEED, p=1)
    for test in ALL:
        f = lambda b, test=test: test(System(y, x, z, c), b).p_value  # noqa: E731
        numeric = (f(0.5 + 1e-5) - f(0.5 - 1e-5)) / 2e-5
        np.testing.assert_allclose(jax.grad(f)(0.5), numeric, rtol=1e-4, atol=1e-8, err_msg=test.__name__)


def test_wrong_options_are_named(x64):
    y, x, z, c, _ = simulate(SEED)
    with pytest.raises(InputError, match=r"^covariance"):
        anderson_rubin_statistic(System(y, x, z, c), 0.0, covariance="HC7")
    with pytest.raises(InputError, match=r"^clusters"):
        lm_statistic(System(y, x, z, c), 0.0, covariance="cluster")
    with pytest.raises(InputError, match=r"^covariance"):
        clr_statistic(System(y, x, z, c), 0.0, covariance="HC1")
    with pytest.raises(InputError, match=r"^treatment"):
        lm_statistic(System(y, x, z, c), 0.0, covariance="HC1", index=1)


def test_tests_of_user_data_equal_those_of_the_system():
    # Public functions take frames with a constant added, whatever the global precision, and return Python floats.
    y, x, z, c, groups = simulate(SEED)
    given = (pd.Series(y), pd.DataFrame(x, columns=["dose", "price"]), pd.DataFrame({"age": c[:, 1]}))
    with jax.enable_x64(True):
        system = System(y, x, z, c, groups)
        null = np.array([0.1, 0.2])
        pairs = [(test(*given, Z=z, null=null), core(system, null)) for test, core in zip(PUBLIC, ALL)]
        pairs += [
            (test(*given, Z=z, null=0.3, treatment="price"), core(system, 0.3, index=1))
            for test, core in zip(PUBLIC, ALL)
        ]
        system = system._replace(x=x[:, :1])
        labels = [f"group {g}" for g in groups]
        pairs += [
            (
                test(given[0], given[1]["dose"], given[2], Z=z, null=0.3, covariance="cluster", clusters=labels),
                core(system, 0.3, covariance="cluster"),
            )
            for test, core in zip(PUBLIC, ALL)
            if test is not lr_test
        ]
    for here, there in pairs:
        assert all(isinstance(value, float) for value in here)
        np.testing.assert_allclose(here, there, rtol=1e-7, atol=1e-12, err_msg=f"seed {SEED}")
    np.testing.assert_allclose(
        clr_test(y, x, c, Z=z, fit_intercept=False), clr_test(y, x, c[:, 1:], Z=z), rtol=1e-7, err_msg=f"seed {SEED}"
    )


@pytest.mark.parametrize("null", [[0.1, 0.2, 0.3], np.nan, [[0.1, 0.2]]])
def test_wrong_nulls_are_named(null):
    y, x, z, _, _ = simulate(SEED)
    with pytest.raises(InputError, match=r"^null: found"):
        anderson_rubin_test(y, x, Z=z, null=null)
