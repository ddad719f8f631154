"""Rubin's rules."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from causalrep.errors import InputError
from causalrep.inference import pool


def test_by_hand():
    pooled = pool(jnp.array([1.0, 2.0, 3.0]), jnp.array([0.5, 0.5, 0.5]))
    assert float(pooled.value) == 2.0
    np.testing.assert_allclose(pooled.se**2, 0.5 + 4 / 3 * 1.0, rtol=1e-6)
    np.testing.assert_allclose(pooled.df, 2 * (1 + 0.5 / (4 / 3)) ** 2, rtol=1e-6)


def test_numpy_float64_is_not_rounded():
    values, variances = 1e8 + np.array([0.0, 1.0, 2.0]), np.ones(3)
    expected = np.sqrt(1 + 4 / 3)
    for arrays in ((values, variances), (values.tolist(), variances.tolist()), map(pd.Series, (values, variances))):
        assert float(pool(*arrays).se) == pytest.approx(expected, rel=1e-12)
    # Half precision is computed in float32, and traced values in the program's own precision.
    assert pool(jnp.ones(3, jnp.bfloat16), jnp.ones(3, jnp.bfloat16)).se.dtype == jnp.float32
    assert jax.jit(pool)(values, variances).se.dtype == jnp.float32


def test_what_cannot_be_pooled_is_refused():
    for values, variances, name in (
        ([1.0], [1.0], "values"),
        (np.float64(1), np.float64(1), "values"),
        ([1.0, np.nan], [1.0, 1.0], "values"),
        (np.ones(2), np.ones((2, 1)), "variances"),
        ([1.0, 2.0], [1.0, -1.0], "variances"),
    ):
        with pytest.raises(InputError, match=f"^{name}: "):
            pool(values, variances)


def test_draws_that_agree_cost_no_degrees_of_freedom():
    pooled = pool(jnp.ones(4), jnp.full(4, 0.25))
    assert np.isinf(pooled.df)
    assert float(pooled.se) == 0.5


def test_pooled_interval_covers_the_mean_of_data_with_missing_values(x64):
    """y normal, 60% missing at random: proper imputation, Rubin's interval covers 95%, that of one imputation less."""

    def one(key):
        y_key, parameter_key, noise_key = jax.random.split(key, 3)
        n, missing, draws = 60, 36, 10
        y = jax.random.normal(y_key, (n - missing,))
        chi_key, mean_key = jax.random.split(parameter_key)
        variance = jnp.sum((y - y.mean()) ** 2) / jax.random.chisquare(chi_key, len(y) - 1, (draws,))
        centre = y.mean() + jnp.sqrt(variance / len(y)) * jax.random.normal(mean_key, (draws,))
        noise = jax.random.normal(noise_key, (draws, missing))
        filled = jnp.column_stack([jnp.tile(y, (draws, 1)), centre[:, None] + jnp.sqrt(variance)[:, None] * noise])
        values, variances = filled.mean(1), filled.var(1, ddof=1) / n
        pooled = pool(values, variances)
        return pooled.value, pooled.se, pooled.df, jnp.abs(values[0]) < 1.96 * jnp.sqrt(variances[0])

    value, se, df, single = jax.vmap(one)(jax.random.split(jax.random.key(0), 1500))
    from scipy import stats

    covered = np.abs(value) < stats.t.isf(0.025, np.asarray(df)) * se
    assert 0.93 < covered.mean() < 0.97
    assert single.mean() < 0.85
