"""Do the instruments agree with one another? Tests of the overidentifying restrictions, k - p of them.

They have no power when the instruments are wrong in the same way, and none at all when just identified: the
p-value is then 1 by convention (zero degrees of freedom).

``<name>(Y, T, X, Z=...)`` checks the user's data, computes in float64 and returns Python floats;
``<name>_statistic(system)`` is the pure function beneath it, for use under ``jit`` and ``vmap``.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.inference.sandwich import Covariance
from causalrep.iv.design import check_covariance, evaluate, make_design
from causalrep.iv.distributions import TestResult, chi2_result
from causalrep.iv.system import System, moments, partial_out, score_covariance
from causalrep.linalg import spd_solve


def sargan(Y: Any, T: Any, X: Any = None, *, Z: Any, fit_intercept: bool = True) -> TestResult:
    """Sargan's test: n times the R^2 of two-stage least squares residuals on the instruments; chi2(k - p).

    Args:
        Y: Outcome (n,): array, Series or one-column frame.
        T: Endogenous treatments (n,) or (n, p).
        X: Exogenous controls (n, q), or None.
        Z: Excluded instruments (n, k), k >= p.
        fit_intercept: Whether to add a constant to the controls.

    Raises:
        InputError: If an argument is wrong; the message names it.
    """
    return evaluate(sargan_statistic, make_design(Y, T, X, Z, fit_intercept=fit_intercept))


def sargan_statistic(system: System) -> TestResult:
    """Sargan's test; see :func:`sargan`."""
    n, p, k, _ = system.sizes
    inside, outside = _residual_sums(system)
    return _result(n * inside / (inside + outside), k - p)


def basmann(Y: Any, T: Any, X: Any = None, *, Z: Any, fit_intercept: bool = True) -> TestResult:
    """Basmann's test: like Sargan's, but with the variance of the residuals given the instruments; chi2(k - p).

    Arguments as in :func:`sargan`.
    """
    return evaluate(basmann_statistic, make_design(Y, T, X, Z, fit_intercept=fit_intercept))


def basmann_statistic(system: System) -> TestResult:
    """Basmann's test; see :func:`basmann`."""
    _, p, k, _ = system.sizes
    inside, outside = _residual_sums(system)
    return _result(system.dof * inside / outside, k - p)


def hansen_j(
    Y: Any, T: Any, X: Any = None, *, Z: Any, covariance: str = "HC1", clusters: Any = None, fit_intercept: bool = True
) -> TestResult:
    """Hansen's J of two-step efficient GMM, with the weight of its first step; chi2(k - p).

    Arguments as in :func:`sargan`, and ``covariance``: ``"HC0"`` or ``"HC1"`` (the same here, as there is no
    small-sample factor), ``"cluster"`` (with ``clusters``: labels of any type), or ``"homoskedastic"``, which
    gives Sargan's test.
    """
    check_covariance(covariance, clusters)
    design = make_design(Y, T, X, Z, clusters, fit_intercept=fit_intercept)
    return evaluate(hansen_j_statistic, design, covariance=covariance)


def hansen_j_statistic(system: System, *, covariance: str = "HC1") -> TestResult:
    """Hansen's J; see :func:`hansen_j`."""
    _, p, k, _ = system.sizes
    w, q = partial_out(jnp.column_stack([system.y, system.x]), system.z, system.c)
    coefficients = q.T @ w
    pi, delta = coefficients[:, 1:], coefficients[:, 0]
    first = jnp.linalg.lstsq(pi, delta)[0]
    residuals = w[:, :1] - w[:, 1:] @ first[:, None]
    request = Covariance(covariance, clusters=system.clusters).uncorrected()
    weight = score_covariance(residuals, q, request, system.dof)[0, :, 0, :]
    second = spd_solve(pi.T @ spd_solve(weight, pi), pi.T @ spd_solve(weight, delta))
    g = delta - pi @ second
    return _result(g @ spd_solve(weight, g), k - p)


def _residual_sums(system: System) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Sums of squares of two-stage least squares residuals within and outside the span of the instruments."""
    m = moments(system)
    beta = spd_solve(m.projected[1:, 1:], m.projected[1:, 0])
    d = jnp.concatenate([jnp.ones(1, beta.dtype), -beta])
    return d @ m.projected @ d, d @ m.residual @ d


def _result(statistic: Float[Array, ""], df: int) -> TestResult:
    if df == 0:
        return TestResult(jnp.zeros_like(statistic), jnp.ones_like(statistic), 0)
    return chi2_result(statistic, df)
