"""Are the treatments endogenous at all? Tests that ordinary and two-stage least squares estimate the same coefficients.

They assume valid, strong instruments and, except for the regression-based test, homoskedastic errors.

``<name>(Y, T, X, Z=...)`` checks the user's data, computes in float64 and returns Python floats;
``<name>_statistic(system)`` is the pure function beneath it, for use under ``jit`` and ``vmap``.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from causalrep.inference.sandwich import Covariance
from causalrep.iv.design import check_covariance, evaluate, make_design
from causalrep.iv.distributions import TestResult, chi2_result, f_result
from causalrep.iv.system import System, moments, partial_out, score_covariance
from causalrep.linalg import orthonormal_basis, project, residualize, spd_solve


def durbin(Y: Any, T: Any, X: Any = None, *, Z: Any, fit_intercept: bool = True) -> TestResult:
    """Durbin's score test that all treatments are exogenous; chi2(p).

    Args:
        Y: Outcome (n,): array, Series or one-column frame.
        T: Endogenous treatments (n,) or (n, p).
        X: Exogenous controls (n, q), or None.
        Z: Excluded instruments (n, k), k >= p.
        fit_intercept: Whether to add a constant to the controls.

    Raises:
        InputError: If an argument is wrong; the message names it.
    """
    return evaluate(durbin_statistic, make_design(Y, T, X, Z, fit_intercept=fit_intercept))


def durbin_statistic(system: System) -> TestResult:
    """Durbin's test; see :func:`durbin`."""
    n, p, _, _ = system.sizes
    gain, total = _explained_by_first_stage(system)
    return chi2_result(n * gain / total, p)


def wu_hausman(Y: Any, T: Any, X: Any = None, *, Z: Any, fit_intercept: bool = True) -> TestResult:
    """Wu-Hausman F test that all treatments are exogenous; F(p, n - q - 2p).

    Equal to the classical F test of the first-stage residuals added to the regression of Y on (T, X). Arguments
    as in :func:`durbin`.
    """
    return evaluate(wu_hausman_statistic, make_design(Y, T, X, Z, fit_intercept=fit_intercept))


def wu_hausman_statistic(system: System) -> TestResult:
    """Wu-Hausman F test; see :func:`wu_hausman`."""
    n, p, _, q = system.sizes
    dof = n - q - 2 * p
    gain, total = _explained_by_first_stage(system)
    return f_result((gain / p) / ((total - gain) / dof), p, dof)


def hausman_regression(
    Y: Any, T: Any, X: Any = None, *, Z: Any, covariance: str = "HC1", clusters: Any = None, fit_intercept: bool = True
) -> TestResult:
    """Control-function test of exogeneity: the first-stage residuals do not enter Y given (T, X).

    The robust or clustered companion of :func:`wu_hausman`, to which it reduces when homoskedastic; Wald
    statistic / p against F(p, n - q - 2p), or F(p, G - 1). Arguments as in :func:`durbin`, and ``covariance``:
    ``"homoskedastic"``, ``"HC0"``, ``"HC1"`` or ``"cluster"`` (with ``clusters``: labels of any type).
    """
    check_covariance(covariance, clusters)
    design = make_design(Y, T, X, Z, clusters, fit_intercept=fit_intercept)
    return evaluate(hausman_regression_statistic, design, covariance=covariance)


def hausman_regression_statistic(system: System, *, covariance: str = "HC1") -> TestResult:
    """Control-function test of exogeneity; see :func:`hausman_regression`."""
    n, p, _, controls = system.sizes
    dof = n - controls - 2 * p
    w, q = partial_out(jnp.column_stack([system.y, system.x]), system.z, system.c)
    regressors, added = w[:, 1:], w[:, 1:] - project(q, w[:, 1:])
    basis = orthonormal_basis(regressors)
    direction = orthonormal_basis(residualize(basis, added), lengths=jnp.linalg.norm(added, axis=0))
    residual = w[:, 0] - project(basis, w[:, 0])
    effect = direction.T @ residual
    residual = residual - direction @ effect
    request = Covariance(covariance, clusters=system.clusters)
    spread = score_covariance(residual[:, None], direction, request, dof)[0, :, 0, :]
    return f_result(effect @ spd_solve(spread, effect) / p, p, request.reference_dof(n, dof, w.dtype))


def _explained_by_first_stage(system: System) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The fall of the OLS residual sum of squares when the first-stage residuals are added, and the sum itself.

    Both follow from the Gram matrices, because the fall is a quadratic form in the difference of the two
    estimates.
    """
    m = moments(system)
    total = m.projected + m.residual
    ols = spd_solve(total[1:, 1:], total[1:, 0])
    tsls = spd_solve(m.projected[1:, 1:], m.projected[1:, 0])
    difference = tsls - ols
    inside, everything, outside = m.projected[1:, 1:], total[1:, 1:], m.residual[1:, 1:]
    # V = inside^{-1} - everything^{-1} = inside^{-1} outside everything^{-1}.
    gain = difference @ inside @ jnp.linalg.solve(outside, everything @ difference)
    d = jnp.concatenate([jnp.ones(1, ols.dtype), -ols])
    return gain, d @ total @ d
