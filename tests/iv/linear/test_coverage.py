"""Coverage of Wald intervals over vmapped simulations with strong instruments, and what must fail.

2,000 simulations: the standard error of a coverage of .95 is .0049, so .95 +- .018 leaves room for small
samples.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from causalrep.inference import Covariance
from causalrep.iv import fuller, gmm, jive, k_class, liml, ols, two_stage_least_squares

pytestmark = pytest.mark.usefixtures("x64")
SIMULATIONS, N, GROUPS, TRUTH = 2000, 400, 100, 1.0
CODES = jnp.arange(N) % GROUPS


def simulate(key, design):
    """Confounded y = x + 0.5 w + u; ``design`` shapes the errors."""
    keys = jax.random.split(key, 6)
    z = jax.random.normal(keys[0], (N, 3))
    w = jax.random.normal(keys[1], (N, 1))
    v, noise = jax.random.normal(keys[2], (N,)), jax.random.normal(keys[3], (N,))
    u = -0.8 * v + 0.6 * noise
    if design == "heteroskedastic":
        u = u * (0.3 + z[:, 0] ** 2)
    elif design == "clustered":
        z = jax.random.normal(keys[4], (GROUPS, 3))[CODES] + 0.3 * z
        u = u + 1.5 * jax.random.normal(keys[5], (GROUPS,))[CODES]
    elif design == "exogenous":
        u = noise * (0.3 + z[:, 0] ** 2)
    x = z @ jnp.array([0.6, 0.4, 0.3]) + 0.3 * w[:, 0] + v
    c = jnp.column_stack([w, jnp.ones(N)])
    return TRUTH * x + 0.5 * w[:, 0] + u, x[:, None], z, c


CLUSTER = Covariance("cluster", clusters=CODES, n_clusters=GROUPS)


def coverage(method, design, dof=N - 3):
    def one(key):
        fit = method(*simulate(key, design))
        return jnp.abs(fit.coef[0] - TRUTH) / jnp.sqrt(fit.cov[0, 0])

    keys = jax.random.split(jax.random.key(20260401), SIMULATIONS)
    t = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=250))(keys)
    return float(np.mean(np.asarray(t) < stats.t(dof).isf(0.025)))


HONEST = {
    "2SLS homoskedastic": (lambda *d: two_stage_least_squares(*d), "homoskedastic", N - 3),
    "LIML homoskedastic": (lambda *d: liml(*d), "homoskedastic", N - 3),
    "Fuller homoskedastic": (lambda *d: fuller(*d), "homoskedastic", N - 3),
    "JIVE HC1": (lambda *d: jive(*d, covariance="HC1"), "heteroskedastic", N - 3),
    "k-class at 1, HC0": (lambda *d: k_class(*d, kappa=1.0, covariance="HC0"), "heteroskedastic", N - 3),
    "2SLS HC1": (lambda *d: two_stage_least_squares(*d, covariance="HC1"), "heteroskedastic", N - 3),
    "2SLS HC2": (lambda *d: two_stage_least_squares(*d, covariance="HC2"), "heteroskedastic", N - 3),
    "2SLS HC3": (lambda *d: two_stage_least_squares(*d, covariance="HC3"), "heteroskedastic", N - 3),
    "LIML HC1": (lambda *d: liml(*d, covariance="HC1"), "heteroskedastic", N - 3),
    "GMM": (lambda *d: gmm(*d, covariance="HC1"), "heteroskedastic", N - 3),
    "GMM CUE": (lambda *d: gmm(*d, steps="cue", covariance="HC1"), "heteroskedastic", N - 3),
    "OLS HC3, exogenous": (lambda y, x, z, c: ols(y, x, c, covariance="HC3"), "exogenous", N - 3),
    "2SLS cluster": (lambda *d: two_stage_least_squares(*d, covariance=CLUSTER), "clustered", GROUPS - 1),
    "2SLS HAC, no correlation": (
        lambda *d: two_stage_least_squares(*d, covariance=Covariance("HAC", bandwidth=3)),
        "heteroskedastic",
        N - 3,
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_intervals_cover(name):
    assert coverage(*HONEST[name]) == pytest.approx(0.95, abs=0.018)


def second_stage_by_hand(y, x, z, c):
    """Least squares on the fitted treatment, with its own (wrong) residuals."""
    w = jnp.column_stack([c, z])
    q = jnp.linalg.qr(w)[0]
    return ols(y, q @ (q.T @ x), c)


MISTAKEN = {
    "OLS under confounding": (lambda y, x, z, c: ols(y, x, c), "homoskedastic"),
    "second stage by hand": (second_stage_by_hand, "homoskedastic"),
    "homoskedastic under heteroskedasticity": (lambda *d: two_stage_least_squares(*d), "heteroskedastic"),
    "robust under clustering": (lambda *d: two_stage_least_squares(*d, covariance="HC1"), "clustered"),
}


@pytest.mark.parametrize("name", MISTAKEN)
def test_wrong_intervals_do_not(name):
    assert coverage(*MISTAKEN[name]) < 0.90
