"""Are the instruments strong? Tests of the first stage, the regression of x on (z, c)."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int
from scipy import stats

from causalrep.iv.distributions import TestResult, chi2_result, f_result
from causalrep.iv.reduced_form import (
    moments,
    partial_out,
    reduced_form,
    residual_dof,
    score_covariance,
)
from causalrep.iv.weak.statistics import whiten
from causalrep.linalg import project, spd_solve
from causalrep.precision import full_products


class EffectiveF(NamedTuple):
    """Effective first-stage F statistic of Montiel Olea and Pflueger (2013).

    Attributes:
        statistic: The effective F.
        effective_df: Degrees of freedom of its approximate distribution at bias tolerance ``tau``: pass
            them to :func:`effective_f_critical_value`.
    """

    statistic: Float[Array, ""]
    effective_df: Float[Array, ""]


@full_products
def first_stage_f(
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    covariance: str = "homoskedastic",
    clusters: Int[Array, " n"] | None = None,
    parameter: int = 0,
) -> TestResult:
    """F statistic that the excluded instruments have no part in the first stage of one regressor.

    Args:
        x: Endogenous regressors, (n, p).
        z: Excluded instruments, (n, k).
        c: Controls with the constant, (n, q), or None.
        covariance: ``"homoskedastic"`` (classical F), ``"HC0"``, ``"HC1"`` or ``"cluster"``: Wald statistic
            / k.
        clusters: Integer codes in 0..n-1 for ``"cluster"``.
        parameter: Which column of x.
    """
    k = z.shape[1]
    form = reduced_form(x[:, parameter], x[:, :0], z, c, covariance=covariance, clusters=clusters)
    pi = form.coefficients[:, 0]
    return f_result(pi @ spd_solve(form.covariance[0, :, 0, :], pi) / k, k, form.df_den)


@full_products
def effective_f(
    x: Float[Array, "n 1"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    covariance: str = "HC1",
    clusters: Int[Array, " n"] | None = None,
    tau: float = 0.1,
) -> EffectiveF:
    """Effective F statistic: ``x'Px / tr(W)``, W the robust covariance of the first-stage coefficients.

    The right scale of instrument strength for the bias of two-stage least squares (one endogenous regressor)
    without homoskedasticity. Just identified, it equals the robust F; homoskedastic, the classical F.

    Args:
        x: The endogenous regressor, (n, 1).
        z: Excluded instruments, (n, k).
        c: Controls with the constant, (n, q), or None.
        covariance: As in :func:`first_stage_f`.
        clusters: As in :func:`first_stage_f`.
        tau: Tolerated share of the worst-case bias; enters ``effective_df`` alone.

    References:
        Montiel Olea, Pflueger (2013), Journal of Business and Economic Statistics 31, section 4 (the
        simplified, conservative procedure: worst-case Nagar bias bounded by one).
    """
    form = reduced_form(x[:, 0], x[:, :0], z, c, covariance=covariance, clusters=clusters)
    pi, w = form.coefficients[:, 0], form.covariance[0, :, 0, :]
    trace, noncentrality = jnp.trace(w), 1.0 / tau
    largest = jnp.linalg.eigvalsh(w)[-1]
    df = trace**2 * (1 + 2 * noncentrality) / (jnp.sum(w * w) + 2 * noncentrality * trace * largest)
    return EffectiveF(pi @ pi / trace, df)


def effective_f_critical_value(effective_df: float, *, tau: float = 0.1, alpha: float = 0.05) -> float:
    """Value the effective F must pass to reject, at size alpha, a bias above ``tau`` times the worst case.

    Host-level: a quantile of the noncentral chi-squared distribution (Montiel Olea and Pflueger 2013,
    section 4).

    >>> round(effective_f_critical_value(1.0), 1), round(effective_f_critical_value(1.0, tau=0.2), 1)
    (23.1, 15.1)
    """
    df = float(effective_df)
    return float(stats.ncx2.ppf(1 - alpha, df, df / tau) / df)


def cragg_donald(x: Float[Array, "n p"], z: Float[Array, "n k"], c: Float[Array, "n q"] | None = None) -> TestResult:
    """Cragg-Donald test that the first stage lacks full rank: chi2 with k - p + 1 degrees of freedom.

    The statistic is (n - k - q) times the smallest eigenvalue of ``(x'Mx)^{-1} x'Px``. Divided by k it is the
    Cragg-Donald F of Stock and Yogo (2005): for one regressor, the classical first-stage F.

    Args:
        x: Endogenous regressors, (n, p).
        z: Excluded instruments, (n, k).
        c: Controls with the constant, (n, q), or None.
    """
    k, p = z.shape[1], x.shape[1]
    m = moments(x[:, 0], x[:, 1:], z, c)
    return chi2_result(jnp.linalg.eigvalsh(whiten(m, residual_dof(z, c)).gram)[0], k - p + 1)


@full_products
def kleibergen_paap(
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    covariance: str = "HC1",
    clusters: Int[Array, " n"] | None = None,
    version: str = "LM",
) -> TestResult:
    """Kleibergen-Paap rk test that the first stage lacks full rank, under a robust covariance.

    The combination of regressors that the instruments predict worst is tested on the instrument directions
    that the other combinations leave free.

    Args:
        x: Endogenous regressors, (n, p).
        z: Excluded instruments, (n, k).
        c: Controls with the constant, (n, q), or None.
        covariance: As in :func:`first_stage_f`. The LM version takes no small-sample factor: HC0 and HC1
            agree.
        clusters: As in :func:`first_stage_f`.
        version: ``"LM"``: the null is imposed on the residuals; chi2 with k - p + 1 degrees of freedom.
            ``"Wald"``: residuals of the first stage, same reference. The rk Wald F that ivreg2 and
            linearmodels report is this statistic over k.

    References:
        Kleibergen, Paap (2006), Journal of Econometrics 133.
    """
    k, p = z.shape[1], x.shape[1]
    w, q = partial_out(x, z, c)
    coefficients = q.T @ w
    outside = w - project(q, w)
    # In units where the first-stage residuals are white, the singular vectors of the coefficients give
    # the worst-predicted combination (last) and the instrument directions the others leave free.
    factor = jnp.linalg.cholesky(outside.T @ outside)
    u, _, vt = jnp.linalg.svd(solve_triangular(factor, coefficients.T, lower=True).T)
    direction = solve_triangular(factor.T, vt[-1], lower=False)
    free = u[:, p - 1 :]
    worst = (outside if version == "Wald" else w) @ direction
    score = free.T @ (coefficients @ direction)
    dof, corrected = residual_dof(z, c), version == "Wald"
    spread, _ = score_covariance(
        worst[:, None], q @ free, dof, covariance=covariance, clusters=clusters, corrected=corrected
    )
    statistic = score @ spd_solve(spread[0, :, 0, :], score)
    return chi2_result(statistic, k - p + 1)


@full_products
def sanderson_windmeijer(
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    parameter: int = 0,
) -> TestResult:
    """Conditional first-stage F of one regressor among several: F with k - p + 1 degrees of freedom.

    The regressor less its two-stage least squares prediction by the other regressors: how strong are the
    instruments for it, once they have predicted the others? For one regressor, the classical F.

    Args:
        x: Endogenous regressors, (n, p).
        z: Excluded instruments, (n, k).
        c: Controls with the constant, (n, q), or None.
        parameter: Which column of x.

    References:
        Sanderson, Windmeijer (2016), Journal of Econometrics 190, section 3.
    """
    k, p = z.shape[1], x.shape[1]
    dof, df = residual_dof(z, c), k - p + 1
    others = [j for j in range(p) if j != parameter]
    m = moments(x[:, parameter], x[:, np.array(others, int)], z, c)
    direction = jnp.ones(1, x.dtype)
    if others:
        delta = spd_solve(m.projected[1:, 1:], m.projected[1:, 0])
        direction = jnp.concatenate([direction, -delta])
    statistic = (direction @ m.projected @ direction / df) / (direction @ m.residual @ direction / dof)
    return f_result(statistic, df, dof)
