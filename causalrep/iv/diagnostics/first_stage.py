"""Are the instruments strong? Tests of the first stage, the regression of the treatments on (Z, X).

``<name>(T, X, Z=...)`` checks the user's data, computes in float64 and returns Python floats;
``<name>_statistic(system)`` is the pure function beneath it, for use under ``jit`` and ``vmap``.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float
from scipy import stats

from causalrep.base.validation import check_choice
from causalrep.errors import InputError
from causalrep.inference.sandwich import Covariance
from causalrep.iv.design import check_covariance, evaluate, make_design
from causalrep.iv.distributions import TestResult, chi2_result, f_result
from causalrep.iv.system import System, moments, partial_out, reduced_form, score_covariance, whiten
from causalrep.linalg import project, spd_solve
from causalrep.precision import full_products

VERSIONS = ("LM", "Wald")


class EffectiveF(NamedTuple):
    """Effective first-stage F statistic of Montiel Olea and Pflueger (2013).

    Attributes:
        statistic: The effective F.
        effective_df: Degrees of freedom of its approximate distribution at bias tolerance ``tau``: pass
            them to :func:`effective_f_critical_value`.
    """

    statistic: Float[Array, ""] | float
    effective_df: Float[Array, ""] | float


def first_stage_f(
    T: Any,
    X: Any = None,
    *,
    Z: Any,
    treatment: str | int = 0,
    covariance: str = "homoskedastic",
    clusters: Any = None,
    fit_intercept: bool = True,
) -> TestResult:
    """F statistic of the hypothesis that the excluded instruments do not enter the first stage of one treatment.

    Args:
        T: Endogenous treatments (n,) or (n, p): array, Series or frame.
        X: Exogenous controls (n, q), or None.
        Z: Excluded instruments (n, k), k >= p.
        treatment: Name or position of the treatment.
        covariance: ``"homoskedastic"`` (classical F), ``"HC0"``, ``"HC1"`` or ``"cluster"``: Wald statistic
            divided by k.
        clusters: Group labels (n,) of any type, for ``covariance="cluster"``.
        fit_intercept: Whether to add a constant to the controls.

    Raises:
        InputError: If an argument is wrong; the message names it.
    """
    check_covariance(covariance, clusters)
    design = make_design(None, T, X, Z, clusters, fit_intercept=fit_intercept, needs_outcome=False)
    index = design.treatment_index(treatment)
    return evaluate(first_stage_f_statistic, design, index=index, covariance=covariance)


@full_products
def first_stage_f_statistic(system: System, *, index: int = 0, covariance: str = "homoskedastic") -> TestResult:
    """F statistic of the first stage of treatment ``index``; see :func:`first_stage_f`."""
    k = system.sizes[2]
    pi, spread, df_den = _first_stage(system, index, covariance)
    return f_result(pi @ spd_solve(spread, pi) / k, k, df_den)


def effective_f(
    T: Any,
    X: Any = None,
    *,
    Z: Any,
    covariance: str = "HC1",
    clusters: Any = None,
    tau: float = 0.1,
    fit_intercept: bool = True,
) -> EffectiveF:
    """Effective F statistic: ``t'Pt / tr(W)``, W the robust covariance of the first-stage coefficients.

    The right scale of instrument strength for the bias of two-stage least squares (one treatment) without
    homoskedasticity. Just identified, it equals the robust F; homoskedastic, the classical F. Arguments as in
    :func:`first_stage_f`; ``tau`` is the tolerated share of the worst-case bias, which enters only
    ``effective_df``.

    References:
        Montiel Olea, Pflueger (2013), Journal of Business and Economic Statistics 31, section 4 (the
        simplified, conservative procedure: worst-case Nagar bias bounded by one).
    """
    check_covariance(covariance, clusters)
    design = make_design(None, T, X, Z, clusters, fit_intercept=fit_intercept, needs_outcome=False)
    if len(design.treatments) > 1:
        raise InputError("T", found=f"{len(design.treatments)} treatments", expected="one, for the effective F")
    return evaluate(effective_f_statistic, design, covariance=covariance, tau=tau)


@full_products
def effective_f_statistic(system: System, *, covariance: str = "HC1", tau: float = 0.1) -> EffectiveF:
    """Effective F of the only treatment; see :func:`effective_f`."""
    pi, w, _ = _first_stage(system, 0, covariance)
    trace, noncentrality = jnp.trace(w), 1.0 / tau
    largest = jnp.linalg.eigvalsh(w)[-1]
    df = trace**2 * (1 + 2 * noncentrality) / (jnp.sum(w * w) + 2 * noncentrality * trace * largest)
    return EffectiveF(pi @ pi / trace, df)


def effective_f_critical_value(effective_df: float, *, tau: float = 0.1, alpha: float = 0.05) -> float:
    """Value the effective F must pass to reject, at size alpha, a bias above ``tau`` times the worst case.

    A quantile of the noncentral chi-squared distribution (Montiel Olea and Pflueger 2013, section 4).

    >>> round(effective_f_critical_value(1.0), 1), round(effective_f_critical_value(1.0, tau=0.2), 1)
    (23.1, 15.1)
    """
    df = float(effective_df)
    return float(stats.ncx2.ppf(1 - alpha, df, df / tau) / df)


def cragg_donald(T: Any, X: Any = None, *, Z: Any, fit_intercept: bool = True) -> TestResult:
    """Cragg-Donald test that the first stage lacks full rank: chi2 with k - p + 1 degrees of freedom.

    The statistic is (n - k - q) times the smallest eigenvalue of ``(T'MT)^{-1} T'PT``. Divided by k it is the
    Cragg-Donald F of Stock and Yogo (2005): for one treatment, the classical first-stage F. Arguments as in
    :func:`first_stage_f`.
    """
    design = make_design(None, T, X, Z, fit_intercept=fit_intercept, needs_outcome=False)
    return evaluate(cragg_donald_statistic, design)


def cragg_donald_statistic(system: System) -> TestResult:
    """Cragg-Donald test; see :func:`cragg_donald`."""
    _, p, k, _ = system.sizes
    m = moments(system.first_stage(0))
    return chi2_result(jnp.linalg.eigvalsh(whiten(m, system.dof).gram)[0], k - p + 1)


def kleibergen_paap(
    T: Any,
    X: Any = None,
    *,
    Z: Any,
    covariance: str = "HC1",
    clusters: Any = None,
    version: str = "LM",
    fit_intercept: bool = True,
) -> TestResult:
    """Kleibergen-Paap rk test that the first stage lacks full rank, under a robust covariance.

    The combination of treatments that the instruments predict worst is tested on the instrument directions
    that the other combinations leave free; chi2 with k - p + 1 degrees of freedom. Arguments as in
    :func:`first_stage_f`, and ``version``: ``"LM"`` imposes the null on the residuals and takes no small-sample
    factor, so HC0 and HC1 agree; ``"Wald"`` uses the residuals of the first stage. The rk Wald F that ivreg2 and
    linearmodels report is the Wald statistic divided by k.

    References:
        Kleibergen, Paap (2006), Journal of Econometrics 133.
    """
    check_covariance(covariance, clusters)
    check_choice("version", version, VERSIONS)
    design = make_design(None, T, X, Z, clusters, fit_intercept=fit_intercept, needs_outcome=False)
    return evaluate(kleibergen_paap_statistic, design, covariance=covariance, version=version)


@full_products
def kleibergen_paap_statistic(system: System, *, covariance: str = "HC1", version: str = "LM") -> TestResult:
    """Kleibergen-Paap rk test; see :func:`kleibergen_paap`."""
    _, p, k, _ = system.sizes
    w, q = partial_out(system.x, system.z, system.c)
    coefficients = q.T @ w
    outside = w - project(q, w)
    # In units where the first-stage residuals are white, the singular vectors of the coefficients give
    # the worst-predicted combination (last) and the instrument directions the others leave free.
    factor = jnp.linalg.cholesky(outside.T @ outside)
    u, _, vt = jnp.linalg.svd(solve_triangular(factor, coefficients.T, lower=True).T)
    direction = solve_triangular(factor.T, vt[-1], lower=False)
    free = u[:, p - 1 :]
    request = Covariance(covariance, clusters=system.clusters)
    worst, request = (outside, request) if version == "Wald" else (w, request.uncorrected())
    spread = score_covariance((worst @ direction)[:, None], q @ free, request, system.dof)
    score = free.T @ (coefficients @ direction)
    return chi2_result(score @ spd_solve(spread[0, :, 0, :], score), k - p + 1)


def sanderson_windmeijer(
    T: Any, X: Any = None, *, Z: Any, treatment: str | int = 0, fit_intercept: bool = True
) -> TestResult:
    """Conditional first-stage F of one treatment among several: F with k - p + 1 degrees of freedom.

    The treatment less its two-stage least squares prediction by the other treatments: how strong are the
    instruments for it, once they have predicted the others? For one treatment, the classical F. Arguments as in
    :func:`first_stage_f`.

    References:
        Sanderson, Windmeijer (2016), Journal of Econometrics 190, section 3.
    """
    design = make_design(None, T, X, Z, fit_intercept=fit_intercept, needs_outcome=False)
    return evaluate(sanderson_windmeijer_statistic, design, index=design.treatment_index(treatment))


@full_products
def sanderson_windmeijer_statistic(system: System, *, index: int = 0) -> TestResult:
    """Conditional first-stage F of treatment ``index``; see :func:`sanderson_windmeijer`."""
    _, p, k, _ = system.sizes
    df = k - p + 1
    m = moments(system.first_stage(index))
    direction = jnp.ones(1, system.x.dtype)
    if p > 1:
        delta = spd_solve(m.projected[1:, 1:], m.projected[1:, 0])
        direction = jnp.concatenate([direction, -delta])
    statistic = (direction @ m.projected @ direction / df) / (direction @ m.residual @ direction / system.dof)
    return f_result(statistic, df, system.dof)


def _first_stage(
    system: System, index: int, covariance: str
) -> tuple[Float[Array, " k"], Float[Array, "k k"], Float[Array, ""] | float]:
    """Coefficients of one treatment on orthonormal instruments, their covariance, denominator degrees of freedom."""
    form = reduced_form(system._replace(y=system.x[:, index], x=system.x[:, :0]), covariance)
    return form.coefficients[:, 0], form.covariance[0, :, 0, :], form.df_den
