"""Is x endogenous at all? Tests that ordinary and two-stage least squares estimate the same coefficients.

They assume valid, strong instruments and homoskedastic errors, but for the regression-based test.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.iv.distributions import TestResult, chi2_result, f_result
from causalrep.iv.reduced_form import moments, partial_out, score_covariance
from causalrep.linalg import orthonormal_basis, project, spd_solve


def durbin(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
) -> TestResult:
    """Durbin's score test that every column of x is exogenous; chi2(p).

    Args:
        y: Outcome, (n,).
        x: Endogenous regressors, (n, p).
        z: Excluded instruments, (n, k).
        c: Controls with the constant, (n, q), or None.
    """
    gain, total = _explained_by_first_stage(y, x, z, c)
    return chi2_result(len(y) * gain / total, x.shape[1])


def wu_hausman(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
) -> TestResult:
    """Wu-Hausman F test that every column of x is exogenous; F(p, n - q - 2p).

    Equal to the classical F test of the first-stage residuals added to the regression of y on (x, c).

    Args:
        y: Outcome, (n,).
        x: Endogenous regressors, (n, p).
        z: Excluded instruments, (n, k).
        c: Controls with the constant, (n, q), or None.
    """
    p = x.shape[1]
    dof = len(y) - (0 if c is None else c.shape[1]) - 2 * p
    gain, total = _explained_by_first_stage(y, x, z, c)
    return f_result((gain / p) / ((total - gain) / dof), p, dof)


def hausman_regression(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    covariance: str = "HC1",
    clusters: Int[Array, " n"] | None = None,
) -> TestResult:
    """Control-function test of exogeneity: the first-stage residuals have no part in y given (x, c).

    The robust or clustered companion of :func:`wu_hausman`, to which it reduces when homoskedastic; Wald
    statistic / p against F(p, n - q - 2p), or F(p, G - 1).

    Args:
        y: Outcome, (n,).
        x: Endogenous regressors, (n, p).
        z: Excluded instruments, (n, k).
        c: Controls with the constant, (n, q), or None.
        covariance: ``"homoskedastic"``, ``"HC0"``, ``"HC1"`` or ``"cluster"``.
        clusters: Integer codes in 0..n-1 for ``"cluster"``.
    """
    n, p = x.shape
    dof = n - (0 if c is None else c.shape[1]) - 2 * p
    w, q = partial_out(jnp.column_stack([y, x]), z, c)
    regressors, added = w[:, 1:], w[:, 1:] - project(q, w[:, 1:])
    basis = orthonormal_basis(regressors)
    direction = orthonormal_basis(added - project(basis, added))
    residual = w[:, 0] - project(basis, w[:, 0])
    effect = direction.T @ residual
    residual = residual - direction @ effect
    spread, df_den = score_covariance(residual[:, None], direction, dof, covariance=covariance, clusters=clusters)
    return f_result(effect @ spd_solve(spread[0, :, 0, :], effect) / p, p, df_den)


def _explained_by_first_stage(
    y: Float[Array, " n"], x: Float[Array, "n p"], z: Float[Array, "n k"], c: Float[Array, "n q"] | None
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """OLS residual sum of squares, and its fall when the first-stage residuals join the regression.

    Both follow from the Gram matrices, for the fall is a quadratic form in the difference of the two
    estimates.
    """
    m = moments(y, x, z, c)
    total = m.projected + m.residual
    ols = spd_solve(total[1:, 1:], total[1:, 0])
    tsls = spd_solve(m.projected[1:, 1:], m.projected[1:, 0])
    difference = tsls - ols
    inside, everything, outside = m.projected[1:, 1:], total[1:, 1:], m.residual[1:, 1:]
    # V = inside^{-1} - everything^{-1} = inside^{-1} outside everything^{-1}.
    gain = difference @ inside @ jnp.linalg.solve(outside, everything @ difference)
    d = jnp.concatenate([jnp.ones(1, y.dtype), -ols])
    return gain, d @ total @ d
