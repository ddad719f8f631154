"""ICP against SciPy's tests set by set, on a model with known parents, and the order of the sets."""

from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from causalrep.invariance import invariant_causal_prediction
from causalrep.invariance.icp import random_subsets

pytestmark = pytest.mark.usefixtures("x64")


def accepted_by_scipy(y, x, environment, subset, level):
    chosen = x[:, subset]
    residuals = y - chosen @ np.linalg.lstsq(chosen, y, rcond=None)[0]
    labels, p_values = np.unique(environment), []
    for label in labels:
        a, b = residuals[environment == label], residuals[environment != label]
        if len(a) > 1:
            below = stats.f.cdf(a.var(ddof=1) / b.var(ddof=1), len(a) - 1, len(b) - 1)
            mean = stats.ttest_ind(a, b, equal_var=False).pvalue
            p_values.append(2 * min(mean, 2 * min(below, 1 - below)))
    return min(p_values) * len(labels) > level


def model(n=600, seed=0):
    """x0 -> y -> x2, x1 noise; environments shift x0 and x2."""
    rng = np.random.default_rng(seed)
    environment = rng.integers(0, 4, n)
    x0 = rng.normal(size=n) * (1 + environment) + environment
    y = 1.5 * x0 + rng.normal(size=n)
    x2 = y + environment + rng.normal(size=n) * (1 + 0.5 * environment)
    return y, np.column_stack([x0, rng.normal(size=n), x2]), environment


def test_finds_the_parent_and_not_the_child():
    y, x, environment = model()
    result = invariant_causal_prediction(
        jax.random.key(0), jnp.asarray(y), jnp.asarray(x), jnp.asarray(environment), environments=4
    )
    assert np.asarray(result.parents).tolist() == [True, False, False]
    assert int(result.tried) == 7
    assert int(result.tested) == 4
    np.testing.assert_allclose(result.coef, [x[:, 0] @ y / (x[:, 0] @ x[:, 0]), 0, 0], rtol=1e-10)


def test_environments_without_effect_reject_nothing():
    y, x, _ = model()
    environment = np.random.default_rng(5).integers(0, 4, len(y))
    result = invariant_causal_prediction(
        jax.random.key(0), jnp.asarray(y), jnp.asarray(x), jnp.asarray(environment), environments=4, level=0.01
    )
    assert int(result.accepted) == 7
    assert not np.asarray(result.coef).any()


@pytest.mark.parametrize(("sizes", "level"), [(4, 0.1), (60, 0.1), (4, 0.9), (250, 0.5)])
def test_acceptance_agrees_with_scipy(sizes, level):
    """Few large environments, and many small ones, some of one row."""
    rng = np.random.default_rng(sizes)
    n, m = 300, 5
    environment = rng.integers(0, sizes, n)
    x = rng.normal(size=(n, m)) + 0.3 * (environment % 2)[:, None]
    y = x @ [1.0, 0.5, 0.0, 0.0, 0.1] + rng.standard_t(4, size=n) * (1 + 0.3 * (environment % 3 == 0))
    subsets = [list(s) for r in range(1, m + 1) for s in combinations(range(m), r)]
    wanted = sum(accepted_by_scipy(y, x, environment, s, level) for s in subsets)
    result = invariant_causal_prediction(
        jax.random.key(0),
        jnp.asarray(y),
        jnp.asarray(x),
        jnp.asarray(environment),
        environments=sizes,
        level=level,
    )
    assert int(result.tried) == len(subsets)
    assert int(result.accepted) == wanted


def test_unused_columns_take_no_part():
    y, x, environment = model()
    wide = np.column_stack([x, np.zeros((len(y), 2))])
    arguments = (jnp.asarray(environment),)
    narrow = invariant_causal_prediction(jax.random.key(0), jnp.asarray(y), jnp.asarray(x), *arguments, environments=4)
    padded = invariant_causal_prediction(
        jax.random.key(0),
        jnp.asarray(y),
        jnp.asarray(wide),
        *arguments,
        environments=4,
        columns=jnp.array([True] * 3 + [False] * 2),
    )
    assert int(padded.tried) == int(narrow.tried)
    np.testing.assert_allclose(padded.coef, [*narrow.coef, 0, 0], atol=1e-12)


def test_subsets_are_all_different_and_complete():
    usable = jnp.array([True, False, True, True, True, True])
    sets, valid = random_subsets(jax.random.key(3), usable, 40)
    chosen = {tuple(row) for row in np.asarray(sets)[np.asarray(valid)]}
    assert int(valid.sum()) == 31 == len(chosen)
    assert not any(row[1] for row in chosen)


def test_subsets_of_one_size_are_in_lexicographic_order_of_a_shuffle():
    sets, valid = random_subsets(jax.random.key(1), jnp.ones(30, bool), 64)
    assert bool(valid.all())
    sizes = np.asarray(sets).sum(1)
    changes = np.flatnonzero(np.diff(sizes))
    assert len(changes) <= 3, "there are far more than 64 sets of nearly every size"
    assert len({tuple(row) for row in np.asarray(sets)}) == 64


def test_works_under_vmap():
    y, x, environment = model()
    data = [jnp.asarray(a) for a in (y, x, environment)]

    def run(key):
        return invariant_causal_prediction(key, *data, environments=4).coef

    keys = jax.random.split(jax.random.key(0), 2)
    np.testing.assert_allclose(jax.vmap(run)(keys), [run(key) for key in keys], atol=1e-12)
