"""Confidence sets that stay valid however weak the instruments are, by inverting the tests of this room.

Homoskedastic sets of one coefficient have closed forms; the robust and clustered ones, and the LM set of one
of several coefficients, are computed on the compactified line by :mod:`causalrep.iv.weak.circle`.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from causalrep.base.validation import check_choice, check_range
from causalrep.errors import InputError
from causalrep.iv.design import Design, check_covariance, check_moments, make_design
from causalrep.iv.system import Moments, ReducedForm, System, Whitened, moments, reduced_form, whiten
from causalrep.iv.weak.circle import invert
from causalrep.iv.weak.conditional import conditional_p_value
from causalrep.iv.weak.confidence_set import ConfidenceSet
from causalrep.iv.weak.inversion import as_confidence_set, clr_level, level_region, lm_levels
from causalrep.iv.weak.statistics import (
    profiled_direction,
    quasi_likelihood_ratio,
    robust_statistics,
    score_statistic,
)
from causalrep.precision import in_float64

_moments = jax.jit(moments)
_reduced_form = jax.jit(reduced_form, static_argnames="covariance")
_level_region = jax.jit(level_region, static_argnames="parameter")
_clr_level = jax.jit(clr_level, static_argnames="k")
_lm_levels = jax.jit(lm_levels)
_whiten = jax.jit(whiten, static_argnames="dof")


def anderson_rubin_set(
    Y: Any,
    T: Any,
    X: Any = None,
    *,
    Z: Any,
    treatment: str | int = 0,
    alpha: float = 0.05,
    covariance: str = "homoskedastic",
    clusters: Any = None,
    distribution: str = "F",
    fit_intercept: bool = True,
) -> ConfidenceSet:
    """Values of a treatment's coefficient that the Anderson-Rubin test accepts.

    Valid for any strength of the instruments; exact under normal homoskedastic errors with ``"F"``. The
    natural choice when just identified, where it is efficient. It is empty when no value makes the
    instruments uncorrelated with the residuals (an invalid instrument), and misleadingly short when this almost
    happens.

    Args:
        Y: Outcome (n,): array, Series or one-column frame.
        T: Endogenous treatments (n,) or (n, p).
        X: Exogenous controls (n, q), or None.
        Z: Excluded instruments (n, k), k >= p.
        treatment: Name or position of the treatment if T has several columns; the coefficients of the others are
            profiled out, which keeps the level (Guggenberger et al. 2012).
        alpha: One minus the level.
        covariance: ``"homoskedastic"``, ``"HC0"``, ``"HC1"`` or ``"cluster"``; the last three need p = 1.
        clusters: Group labels (n,) of any type, for ``covariance="cluster"``.
        distribution: ``"F"`` or ``"chi2"`` critical values.
        fit_intercept: Whether to add a constant to the controls.

    Raises:
        InputError: If an argument is wrong; the message names it.

    >>> rng = np.random.default_rng(0)
    >>> z, noise = rng.normal(size=(500, 2)), rng.normal(size=500)
    >>> t = z @ [0.5, 0.5] + noise + rng.normal(size=500)
    >>> accepted = anderson_rubin_set(2 * t + noise, t, Z=z)
    >>> accepted.kind, 2.0 in accepted
    ('interval', True)
    """
    check_covariance(covariance, clusters)
    design = make_design(Y, T, X, Z, clusters, fit_intercept=fit_intercept)
    return invert_test("ar", design, treatment, alpha, covariance, distribution)


def lr_set(
    Y: Any, T: Any, X: Any = None, *, Z: Any, treatment: str | int = 0, alpha: float = 0.05, fit_intercept: bool = True
) -> ConfidenceSet:
    """Values of a coefficient that the likelihood-ratio test accepts with the strong-instrument chi2(1).

    Homoskedastic, and NOT valid when instruments are weak and overidentify: it is here for comparison.
    Arguments as in :func:`anderson_rubin_set`.
    """
    design = make_design(Y, T, X, Z, fit_intercept=fit_intercept)
    return invert_test("lr", design, treatment, alpha)


def clr_set(
    Y: Any,
    T: Any,
    X: Any = None,
    *,
    Z: Any,
    treatment: str | int = 0,
    alpha: float = 0.05,
    covariance: str = "homoskedastic",
    clusters: Any = None,
    fit_intercept: bool = True,
) -> ConfidenceSet:
    """Values of a coefficient that Moreira's conditional likelihood-ratio test accepts.

    The recommended set when overidentified: valid for any strength of the instruments, never empty, and as
    short as the Wald interval when they are strong. Under homoskedasticity it is one level set, in closed form
    except for one scalar (Mikusheva 2010); robust and clustered versions invert the quasi-CLR of Kleibergen
    (2005). Equal to the chi2 Anderson-Rubin set when just identified. Arguments as in
    :func:`anderson_rubin_set`; with several treatments, the conservative version of Kleibergen (2021).
    """
    check_covariance(covariance, clusters)
    design = make_design(Y, T, X, Z, clusters, fit_intercept=fit_intercept)
    return invert_test("clr", design, treatment, alpha, covariance)


def lm_set(
    Y: Any,
    T: Any,
    X: Any = None,
    *,
    Z: Any,
    treatment: str | int = 0,
    alpha: float = 0.05,
    covariance: str = "homoskedastic",
    clusters: Any = None,
    fit_intercept: bool = True,
) -> ConfidenceSet:
    """Values of a coefficient that Kleibergen's LM (K) test accepts.

    Valid for any strength of the instruments. When overidentified and not the whole line, it has a second,
    spurious piece around the least likely value, where the score vanishes too: prefer :func:`clr_set`.
    Arguments as in :func:`anderson_rubin_set`; with several treatments, the other coefficients take their LIML
    values under the null (Kleibergen 2004).
    """
    check_covariance(covariance, clusters)
    design = make_design(Y, T, X, Z, clusters, fit_intercept=fit_intercept)
    return invert_test("lm", design, treatment, alpha, covariance)


class _Question(NamedTuple):
    """What is asked of the data: a set for one coefficient."""

    system: System
    position: int  # which treatment
    alpha: float
    covariance: str
    labels: dict[str, Any]  # level, method and parameter of the set


@in_float64
def invert_test(
    method: str,
    design: Design,
    treatment: str | int = 0,
    alpha: float = 0.05,
    covariance: str = "homoskedastic",
    distribution: str = "F",
) -> ConfidenceSet:
    """The set for one treatment of checked data; ``method`` is a key of :data:`METHODS`, the rest as above."""
    check_choice("distribution", distribution, ("F", "chi2"))
    alpha = check_range("alpha", alpha, above=0, below=1)
    index, p = design.treatment_index(treatment), len(design.treatments)
    if covariance != "homoskedastic" and p > 1:
        found = f"{covariance!r} with {p} treatments"
        raise InputError("covariance", found=found, expected="'homoskedastic', or one treatment")
    check_moments(design, covariance)
    name, accepted = METHODS[method]
    labels = {"level": 1 - alpha, "method": name, "parameter": design.treatments[index]}
    question = _Question(design.system, index, alpha, covariance, labels)
    return accepted(question, distribution) if method == "ar" else accepted(question)


def _anderson_rubin(question: _Question, distribution: str) -> ConfidenceSet:
    system, alpha = question.system, question.alpha
    _, p, k, _ = system.sizes
    df = k - p + 1
    form = None if question.covariance == "homoskedastic" else _reduced_form(system, covariance=question.covariance)
    df_den = system.dof if form is None else float(form.df_den)
    critical = stats.chi2.isf(alpha, df) if distribution == "chi2" else df * stats.f.isf(alpha, df, df_den)
    if form is not None:
        return _robust_set(question, form, "AR", critical)
    return _level_set(question, _moments(system), critical)


def _lr(question: _Question) -> ConfidenceSet:
    m = _moments(question.system)
    smallest, _ = _eigenvalues(question.system, m)
    return _level_set(question, m, smallest + stats.chi2.isf(question.alpha, 1))


def _clr(question: _Question) -> ConfidenceSet:
    system, alpha = question.system, question.alpha
    _, p, k, _ = system.sizes
    if question.covariance != "homoskedastic":
        form = _reduced_form(system, covariance=question.covariance)
        # With one instrument the statistic is Anderson-Rubin's.
        test, critical = ("AR", stats.chi2.isf(alpha, 1)) if k == 1 else ("CLR", alpha)
        return _robust_set(question, form, test, critical)
    m = _moments(system)
    if k == p:
        return _level_set(question, m, stats.chi2.isf(alpha, 1))
    return _level_set(question, m, _clr_level(*_eigenvalues(system, m), alpha, k=k - p + 1))


def _lm(question: _Question) -> ConfidenceSet:
    system, critical = question.system, stats.chi2.isf(question.alpha, 1)
    _, p, k, _ = system.sizes
    if question.covariance != "homoskedastic":
        form = _reduced_form(system, covariance=question.covariance)
        return _robust_set(question, form, "AR" if k == 1 else "LM", critical)
    m = _moments(system)
    if k == p:
        return _level_set(question, m, critical)
    if p > 1:
        white = _whiten(m, dof=system.dof)
        return _circle_set(question, partial(_profiled_score_excess, white, index=question.position, critical=critical))
    # Accepted are the values b with t(b) at or below one level, and those at or above another.
    low, high = _lm_levels(*_eigenvalues(system, m), critical)
    return _level_set(question, m, low).union(_level_set(question, m, high).complement())


METHODS: dict[str, tuple[str, Any]] = {
    "ar": ("Anderson-Rubin", _anderson_rubin),
    "clr": ("CLR", _clr),
    "lm": ("LM", _lm),
    "lr": ("LR", _lr),
}


def _level_set(question: _Question, m: Moments, level: Any) -> ConfidenceSet:
    region = _level_region(m.projected, m.residual / question.system.dof, level, parameter=question.position)
    return as_confidence_set(region, **question.labels)


def _eigenvalues(system: System, m: Moments) -> tuple[float, float]:
    """The two smallest eigenvalues of the whitened Gram matrix; the first is 0 if just identified."""
    eigenvalues = np.linalg.eigvalsh(_whiten(m, dof=system.dof).gram)
    _, p, k, _ = system.sizes
    return 0.0 if k == p else max(float(eigenvalues[0]), 0.0), float(eigenvalues[1])


def _robust_set(question: _Question, form: ReducedForm, test: str, critical: float) -> ConfidenceSet:
    return _circle_set(question, partial(_robust_excess, form, test=test, critical=critical))


def _circle_set(question: _Question, excess: Any) -> ConfidenceSet:
    m, dof, index = _moments(question.system), question.system.dof, question.position
    pair = np.ix_([0, 1 + index], [0, 1 + index])
    factor = np.linalg.cholesky(np.asarray(m.residual)[pair] / dof)
    projected = np.asarray(m.projected)
    # The search is centered at two-stage least squares.
    center = np.linalg.lstsq(projected[1:, 1:], projected[1:, 0])[0][index]
    concentration = np.linalg.eigvalsh(_whiten(m, dof=dof).gram)[-1]
    return invert(excess, factor, center, concentration, **question.labels)


@partial(jax.jit, static_argnames="test")
def _robust_excess(form: ReducedForm, directions: Any, *, test: str, critical: float) -> Any:
    """Statistic minus critical value, or for CLR the level minus the p-value, at each direction (1, -b)."""
    ar, lm, strength = jax.vmap(partial(robust_statistics, form))(directions)
    if test == "CLR":
        k = form.coefficients.shape[0]
        return critical - conditional_p_value(quasi_likelihood_ratio(ar, lm, strength), strength, k)
    return (ar if test == "AR" else lm) - critical


@partial(jax.jit, static_argnames="index")
def _profiled_score_excess(white: Whitened, directions: Any, *, index: int, critical: float) -> Any:
    def statistic(pair: Any) -> Any:
        direction = jnp.zeros(white.gram.shape[0], pair.dtype).at[0].set(pair[0]).at[1 + index].set(pair[1])
        return score_statistic(white.gram, profiled_direction(white, direction, index))

    return jax.vmap(statistic)(directions) - critical
