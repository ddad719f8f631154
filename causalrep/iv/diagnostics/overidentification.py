"""Do the instruments agree with one another? Tests of the overidentifying restrictions, k - p of them.

They have no power when the instruments are wrong in the same way, and none at all when just identified: the
p-value is then 1 by convention (zero degrees of freedom).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.iv.distributions import TestResult, chi2_result
from causalrep.iv.reduced_form import moments, partial_out, residual_dof, score_covariance
from causalrep.linalg import spd_solve


def sargan(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
) -> TestResult:
    """Sargan's test: n times the R^2 of two-stage least squares residuals on the instruments; chi2(k - p).

    Args:
        y: Outcome, (n,).
        x: Endogenous regressors, (n, p).
        z: Excluded instruments, (n, k).
        c: Controls with the constant, (n, q), or None.
    """
    inside, outside = _residual_sums(y, x, z, c)
    return _result(len(y) * inside / (inside + outside), z.shape[1] - x.shape[1])


def basmann(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
) -> TestResult:
    """Basmann's test: as Sargan's, with the variance of the residuals given the instruments; chi2(k - p).

    Args:
        y: Outcome, (n,).
        x: Endogenous regressors, (n, p).
        z: Excluded instruments, (n, k).
        c: Controls with the constant, (n, q), or None.
    """
    inside, outside = _residual_sums(y, x, z, c)
    return _result(residual_dof(z, c) * inside / outside, z.shape[1] - x.shape[1])


def hansen_j(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    covariance: str = "HC0",
    clusters: Int[Array, " n"] | None = None,
) -> TestResult:
    """Hansen's J of two-step efficient GMM, with the weight of its first step; chi2(k - p).

    Args:
        y: Outcome, (n,).
        x: Endogenous regressors, (n, p).
        z: Excluded instruments, (n, k).
        c: Controls with the constant, (n, q), or None.
        covariance: ``"HC0"`` or ``"cluster"`` (``"homoskedastic"`` gives Sargan's); no small-sample factor.
        clusters: Integer codes in 0..n-1 for ``"cluster"``.
    """
    w, q = partial_out(jnp.column_stack([y, x]), z, c)
    coefficients = q.T @ w
    pi, delta = coefficients[:, 1:], coefficients[:, 0]
    first = jnp.linalg.lstsq(pi, delta)[0]
    residuals = w[:, :1] - w[:, 1:] @ first[:, None]
    spread, _ = score_covariance(
        residuals, q, residual_dof(z, c), covariance=covariance, clusters=clusters, corrected=False
    )
    weight = spread[0, :, 0, :]
    second = spd_solve(pi.T @ spd_solve(weight, pi), pi.T @ spd_solve(weight, delta))
    g = delta - pi @ second
    return _result(g @ spd_solve(weight, g), z.shape[1] - x.shape[1])


def _residual_sums(
    y: Float[Array, " n"], x: Float[Array, "n p"], z: Float[Array, "n k"], c: Float[Array, "n q"] | None
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Sums of squares of two-stage least squares residuals within and outside the span of the instruments."""
    m = moments(y, x, z, c)
    beta = spd_solve(m.projected[1:, 1:], m.projected[1:, 0])
    d = jnp.concatenate([jnp.ones(1, y.dtype), -beta])
    return d @ m.projected @ d, d @ m.residual @ d


def _result(statistic: Float[Array, ""], df: int) -> TestResult:
    if df == 0:
        return TestResult(jnp.zeros_like(statistic), jnp.ones_like(statistic), 0)
    return chi2_result(statistic, df)
