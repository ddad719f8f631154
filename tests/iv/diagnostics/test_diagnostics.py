"""Diagnostics against linearmodels, statsmodels and ivmodels on fresh data, and against published numbers."""

from inspect import signature

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from ivmodels.tests import rank_test
from linearmodels.iv import IV2SLS, IVGMM
from scipy import stats

from causalrep.errors import InputError
from causalrep.iv import System
from causalrep.iv import diagnostics as dg
from causalrep.iv.diagnostics.endogeneity import (
    durbin_statistic,
    hausman_regression_statistic,
    wu_hausman_statistic,
)
from causalrep.iv.diagnostics.first_stage import (
    cragg_donald_statistic,
    effective_f_statistic,
    first_stage_f_statistic,
    kleibergen_paap_statistic,
    sanderson_windmeijer_statistic,
)
from causalrep.iv.diagnostics.overidentification import basmann_statistic, hansen_j_statistic, sargan_statistic
from causalrep.iv.distributions import chi2_sf, f_sf
from tests.iv.designs import SEED, simulate

RTOL = 1e-8


@pytest.fixture(params=[1, 2], ids=["p=1", "p=2"])
def data(request, x64):
    return simulate(SEED, p=request.param)


def peer(data):
    y, x, z, c, _ = data
    return IV2SLS(y, c, x, z)


def agree(ours, theirs, rtol=RTOL):
    message = f"seed {SEED}"
    np.testing.assert_allclose(ours.statistic, theirs.stat, rtol=rtol, err_msg=message)
    np.testing.assert_allclose(ours.p_value, theirs.pval, rtol=rtol, atol=1e-13, err_msg=message)


def test_overidentification_and_endogeneity_equal_linearmodels(data):
    fit = peer(data).fit(cov_type="unadjusted")
    agree(sargan_statistic(System(*data[:4])), fit.sargan)
    agree(basmann_statistic(System(*data[:4])), fit.basmann)
    agree(durbin_statistic(System(*data[:4])), fit.durbin())
    agree(wu_hausman_statistic(System(*data[:4])), fit.wu_hausman())


def test_hansen_j_equals_linearmodels(data):
    y, x, z, c, clusters = data
    fit = IVGMM(y, c, x, z, weight_type="robust").fit(iter_limit=2)
    agree(hansen_j_statistic(System(y, x, z, c)), fit.j_stat)
    fit = IVGMM(y, c, x, z, weight_type="clustered", clusters=clusters).fit(iter_limit=2)
    agree(hansen_j_statistic(System(*data), covariance="cluster"), fit.j_stat)
    np.testing.assert_allclose(
        hansen_j_statistic(System(y, x, z, c), covariance="homoskedastic").statistic,
        sargan_statistic(System(y, x, z, c)).statistic,
    )


def test_rank_tests_equal_linearmodels_and_ivmodels(data):
    _, x, z, c, clusters = data
    k = z.shape[1]
    fit = peer(data).fit(cov_type="unadjusted").first_stage
    agree(cragg_donald_statistic(System(None, x, z, c)), fit.cragg_donald)
    np.testing.assert_allclose(
        cragg_donald_statistic(System(None, x, z, c)).statistic, rank_test(z, x, c[:, 1:])[0], rtol=RTOL
    )
    agree(kleibergen_paap_statistic(System(None, x, z, c), covariance="homoskedastic"), fit.kleibergen_paap)
    for covariance, options in (
        ("HC1", {"cov_type": "robust"}),
        ("cluster", {"cov_type": "clustered", "clusters": clusters}),
    ):
        first = peer(data).fit(**options).first_stage
        agree(kleibergen_paap_statistic(System(None, x, z, c, clusters), covariance=covariance), first.kleibergen_paap)
        wald = kleibergen_paap_statistic(System(None, x, z, c, clusters), covariance=covariance, version="Wald")
        np.testing.assert_allclose(wald.statistic / k, first.kleibergen_paap_f, rtol=RTOL)


def test_first_stage_f_equals_statsmodels(data):
    _, x, z, c, clusters = data
    k = z.shape[1]
    ols = sm.OLS(x[:, 0], np.column_stack([z, c]))
    restriction = np.eye(k, k + c.shape[1])
    for covariance, options in (
        ("homoskedastic", {}),
        ("HC0", {"cov_type": "HC0"}),
        ("HC1", {"cov_type": "HC1"}),
        ("cluster", {"cov_type": "cluster", "cov_kwds": {"groups": clusters}}),
    ):
        expected = ols.fit(**options).f_test(restriction)
        ours = first_stage_f_statistic(System(None, x, z, c, clusters), covariance=covariance)
        np.testing.assert_allclose(ours.statistic, expected.fvalue, rtol=RTOL, err_msg=f"seed {SEED}")
        df_den = expected.df_denom if covariance != "cluster" else len(np.unique(clusters)) - 1
        np.testing.assert_allclose(ours.p_value, stats.f.sf(expected.fvalue, k, df_den), rtol=1e-7, atol=1e-14)


def test_hausman_regression_equals_statsmodels(data):
    y, x, z, c, clusters = data
    p = x.shape[1]
    v = sm.OLS(x, np.column_stack([z, c])).fit().resid
    ols = sm.OLS(y, np.column_stack([v, x, c]))
    restriction = np.eye(p, p + x.shape[1] + c.shape[1])
    for covariance, options in (
        ("homoskedastic", {}),
        ("HC1", {"cov_type": "HC1"}),
        ("cluster", {"cov_type": "cluster", "cov_kwds": {"groups": clusters}}),
    ):
        ours = hausman_regression_statistic(System(y, x, z, c, clusters), covariance=covariance)
        np.testing.assert_allclose(ours.statistic, ols.fit(**options).f_test(restriction).fvalue, rtol=1e-7)


def test_sanderson_windmeijer_by_its_definition(x64):
    _, x, z, c, _ = simulate(SEED)
    auxiliary = IV2SLS(x[:, 0], c, x[:, 1], z).fit(cov_type="unadjusted")
    residual = np.asarray(auxiliary.resids)
    n, k, q = len(x), z.shape[1], c.shape[1]
    full = sm.OLS(residual, np.column_stack([z, c])).fit().ssr
    short = sm.OLS(residual, c).fit().ssr
    expected = (short - full) / (k - 1) / (full / (n - k - q))
    np.testing.assert_allclose(sanderson_windmeijer_statistic(System(None, x, z, c)).statistic, expected, rtol=RTOL)
    one = x[:, :1]
    np.testing.assert_allclose(
        sanderson_windmeijer_statistic(System(None, one, z, c)).statistic,
        first_stage_f_statistic(System(None, one, z, c)).statistic,
        rtol=RTOL,
    )


def test_effective_f(x64):
    _, x, z, c, _ = simulate(SEED, p=1)
    classical = effective_f_statistic(System(None, x, z, c), covariance="homoskedastic")
    np.testing.assert_allclose(classical.statistic, first_stage_f_statistic(System(None, x, z, c)).statistic, rtol=RTOL)
    np.testing.assert_allclose(classical.effective_df, z.shape[1] * 21 / (1 + 20), rtol=RTOL)
    one = effective_f_statistic(System(None, x, z[:, :1], c))
    np.testing.assert_allclose(
        one.statistic, first_stage_f_statistic(System(None, x, z[:, :1], c), covariance="HC1").statistic, rtol=RTOL
    )
    # By the definition, from the robust covariance of the first stage with orthonormal instruments.
    q, _ = np.linalg.qr(sm.OLS(z, c).fit().resid)
    fit = sm.OLS(x[:, 0], np.column_stack([q, c])).fit(cov_type="HC1")
    k = z.shape[1]
    expected = (fit.params[:k] ** 2).sum() / np.trace(fit.cov_params()[:k, :k])
    np.testing.assert_allclose(effective_f_statistic(System(None, x, z, c)).statistic, expected, rtol=RTOL)


def test_published_numbers_of_card(card, x64):
    y, x, z, c, _ = card
    one = z[:, :1]
    assert round(float(first_stage_f_statistic(System(None, x, one, c)).statistic), 4) == 13.2558
    assert round(float(first_stage_f_statistic(System(None, x, z, c)).statistic), 4) == 7.8931
    sargan = sargan_statistic(System(y, x, z, c))
    assert round(float(sargan.statistic), 4) == 1.2482
    assert round(float(sargan.p_value), 3) == 0.264
    assert round(float(basmann_statistic(System(y, x, z, c)).statistic), 4) == 1.2416
    assert round(float(hansen_j_statistic(System(y, x, z, c)).statistic), 4) == 1.2689
    hausman = wu_hausman_statistic(System(y, x, one, c))
    assert round(float(hausman.statistic), 3) == 1.168
    assert round(float(hausman.p_value), 3) == 0.280


def test_published_numbers_of_mroz_and_bwght(mroz, bwght, x64):
    y, x, z, c = mroz
    assert round(float(first_stage_f_statistic(System(None, x, z, c)).statistic), 2) == 55.40
    assert round(float(first_stage_f_statistic(System(None, x, z[:, 1:], np.ones((len(y), 1)))).statistic), 2) == 88.84
    sargan = sargan_statistic(System(y, x, z, c))
    assert round(float(sargan.statistic), 4) == 0.3781
    assert round(float(sargan.p_value), 3) == 0.539
    _, x, z, c = bwght
    assert round(float(first_stage_f_statistic(System(None, x, z, c)).statistic), 4) == 0.1305


def test_just_identified_has_nothing_to_test(x64):
    y, x, z, c, _ = simulate(SEED, k=2)
    for test in (sargan_statistic, basmann_statistic, hansen_j_statistic):
        assert test(System(y, x, z, c))[:3] == (0.0, 1.0, 0)


def test_kleibergen_paap_keeps_its_size_where_cragg_donald_does_not(x64):
    # Rank one, two regressors, first-stage noise whose spread grows with an irrelevant instrument.
    def p_values(key):
        a, b = jax.random.split(key)
        z = jax.random.normal(a, (300, 3))
        v = jax.random.normal(b, (300, 2)) * jnp.abs(z[:, 1:2])
        system = System(None, z[:, :1] @ jnp.ones((1, 2)) + v, z)
        return kleibergen_paap_statistic(system).p_value, cragg_donald_statistic(system).p_value

    robust, classical = jax.jit(jax.vmap(p_values))(jax.random.split(jax.random.key(0), 1000))
    assert abs(np.mean(robust < 0.05) - 0.05) < 0.02
    assert np.mean(classical < 0.05) > 0.08


def test_tail_probabilities_equal_scipy(x64):
    x = np.concatenate([[0.0], np.geomspace(1e-8, 600, 60)])
    for df in (1, 2, 3, 7, 20, 99, 100, 101, 150):
        np.testing.assert_allclose(chi2_sf(x, df), stats.chi2.sf(x, df), rtol=1e-10, atol=1e-280)
    np.testing.assert_allclose(f_sf(x, 3, 40), stats.f.sf(x, 3, 40), rtol=1e-10)


def test_jit_vmap_and_loop_agree(x64):
    batch = System(*(np.stack(v) for v in zip(*(simulate(s)[:4] for s in (1, 2, 3, 4)))))
    tests = (
        sargan_statistic,
        hansen_j_statistic,
        durbin_statistic,
        wu_hausman_statistic,
        cragg_donald_statistic,
        kleibergen_paap_statistic,
        sanderson_windmeijer_statistic,
    )

    def everything(system):
        return jnp.stack([test(system).p_value for test in tests])

    compiled = jax.jit(chex.assert_max_traces(everything, n=1))
    loop = np.stack([compiled(jax.tree.map(lambda v: v[i], batch)) for i in range(4)])  # noqa: B023
    np.testing.assert_allclose(jax.jit(jax.vmap(everything))(batch), loop, rtol=1e-9, atol=1e-14)
    # Compiled too: an eager vmap would compile every operation by itself.
    pairs = jax.tree.map(lambda v: v.reshape(2, 2, *v.shape[1:]), batch)
    nested = np.asarray(jax.jit(jax.vmap(jax.vmap(everything)))(pairs))
    np.testing.assert_allclose(nested.reshape(loop.shape), loop, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("covariance", ["HC1", "cluster"])
def test_tests_of_user_data_equal_those_of_the_system(covariance):
    # Public functions take frames with a constant added, whatever the global precision, and return Python floats.
    y, x, z, c, groups = simulate(SEED)
    controls = pd.DataFrame({"age": c[:, 1]})
    given = (pd.Series(y), pd.DataFrame(x, columns=["dose", "price"]), controls)
    robust = {"covariance": covariance}
    labels = {**robust, "clusters": [f"group {g}" for g in groups]} if covariance == "cluster" else robust
    with jax.enable_x64(True):
        system = System(y, x, z, np.column_stack([c[:, 1], np.ones(len(y))]), groups)
        expected = {
            dg.sargan: sargan_statistic(system),
            dg.basmann: basmann_statistic(system),
            dg.durbin: durbin_statistic(system),
            dg.wu_hausman: wu_hausman_statistic(system),
            dg.hansen_j: hansen_j_statistic(system, **robust),
            dg.hausman_regression: hausman_regression_statistic(system, **robust),
            dg.cragg_donald: cragg_donald_statistic(system),
            dg.kleibergen_paap: kleibergen_paap_statistic(system, **robust),
            dg.first_stage_f: first_stage_f_statistic(system, index=1, **robust),
            dg.sanderson_windmeijer: sanderson_windmeijer_statistic(system, index=1),
            dg.effective_f: effective_f_statistic(system._replace(x=x[:, :1]), **robust),
        }
    for test, there in expected.items():
        options = dict(labels) if "covariance" in signature(test).parameters else {}
        if "treatment" in signature(test).parameters:
            options["treatment"] = "price"
        roles = given if "Y" in signature(test).parameters else given[1:]
        if test is dg.effective_f:
            roles = (roles[0][["dose"]], roles[1])
        here = test(*roles, Z=z, **options)
        assert all(isinstance(value, float) for value in here)
        np.testing.assert_allclose(here, there, rtol=1e-7, err_msg=f"{test.__name__}, seed {SEED}")
    bare = dg.sargan(y, x, c, Z=z, fit_intercept=False)
    np.testing.assert_allclose(bare, expected[dg.sargan], rtol=1e-8)


def test_bad_data_are_named():
    y, x, z, c, groups = simulate(SEED)
    for wrong in ({"Z": z[:, :1]}, {"X": c}, {"T": x[:-1]}, {"covariance": "HC3"}, {"clusters": groups}):
        with pytest.raises(InputError, match=rf"^{next(iter(wrong))}: found"):
            dg.hansen_j(**{"Y": y, "T": x, "X": c[:, 1:], "Z": z} | wrong)
    with pytest.raises(InputError, match=r"^treatment: found 2"):
        dg.first_stage_f(x, Z=z, treatment=2)
    with pytest.raises(InputError, match=r"^T: found 2 treatments"):
        dg.effective_f(x, Z=z)
