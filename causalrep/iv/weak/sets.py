"""Confidence sets that stay valid however weak the instruments are: the tests of ``weak_tests``, inverted.

Homoskedastic sets of one coefficient are closed forms; the robust and clustered ones, and the LM set of one
of several coefficients, are found on the compactified line by :mod:`causalrep.iv.weak.circle`.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from causalrep.base.validation import check_choice, check_range
from causalrep.errors import InputError
from causalrep.iv.reduced_form import COVARIANCES, Moments, ReducedForm, moments, reduced_form
from causalrep.iv.weak.circle import invert
from causalrep.iv.weak.conditional import conditional_p_value
from causalrep.iv.weak.confidence_set import ConfidenceSet
from causalrep.iv.weak.door import IVData, check_iv_data
from causalrep.iv.weak.inversion import as_confidence_set, clr_level, level_region, lm_levels
from causalrep.iv.weak.statistics import (
    Whitened,
    profiled_direction,
    quasi_likelihood_ratio,
    robust_statistics,
    score_statistic,
    whiten,
)
from causalrep.precision import in_float64

_moments = jax.jit(moments)
_reduced_form = jax.jit(reduced_form, static_argnames="covariance")
_level_region = jax.jit(level_region, static_argnames="parameter")
_clr_level = jax.jit(clr_level, static_argnames="k")
_lm_levels = jax.jit(lm_levels)
_whiten = jax.jit(whiten, static_argnames="dof")


@in_float64
def anderson_rubin_set(
    y: Any,
    x: Any,
    z: Any,
    c: Any = None,
    *,
    alpha: float = 0.05,
    covariance: str = "homoskedastic",
    clusters: Any = None,
    distribution: str = "F",
    parameter: int | str = 0,
) -> ConfidenceSet:
    """Values of a coefficient that the Anderson-Rubin test accepts.

    Valid for any strength of the instruments; exact under normal homoskedastic errors with ``"F"``. The
    natural choice when just identified, where it is efficient. It is empty when no value makes the
    instruments uncorrelated with the residuals (an invalid instrument), and short, falsely precise, when it
    is nearly so.

    Args:
        y: Outcome, (n,); arrays or pandas.
        x: Endogenous regressors, (n, p).
        z: Excluded instruments, (n, k), k >= p.
        c: Exogenous controls, (n, q), the constant included if there is to be one.
        alpha: One minus the level.
        covariance: ``"homoskedastic"``, ``"HC0"``, ``"HC1"`` or ``"cluster"``; the last three need p = 1.
        clusters: Labels, (n,), with ``"cluster"``.
        distribution: ``"F"`` or ``"chi2"`` critical values.
        parameter: Position or name of the coefficient if x has several columns; the others are profiled out,
            which keeps the level (Guggenberger et al. 2012).

    Raises:
        InputError: A named bad argument.

    >>> rng = np.random.default_rng(0)
    >>> z, noise = rng.normal(size=(500, 2)), rng.normal(size=500)
    >>> x = z @ [0.5, 0.5] + noise + rng.normal(size=500)
    >>> accepted = anderson_rubin_set(2 * x + noise, x, z, np.ones(500))
    >>> accepted.kind, 2.0 in accepted
    ('interval', True)
    """
    data, index = _enter(y, x, z, c, alpha, covariance, clusters, parameter)
    check_choice("distribution", distribution, ("F", "chi2"))
    labels = {"level": 1 - alpha, "method": "Anderson-Rubin", "parameter": data.names[index]}
    df = data.z.shape[1] - data.x.shape[1] + 1
    form = None if covariance == "homoskedastic" else _form(data, covariance)
    df_den = _dof(data) if form is None else float(form.df_den)
    critical = stats.chi2.isf(alpha, df) if distribution == "chi2" else df * stats.f.isf(alpha, df, df_den)
    if form is not None:
        return _robust_set(data, form, "AR", critical, labels)
    return _level_set(data, _moments(*data[:4]), critical, index, labels)


@in_float64
def lr_set(y: Any, x: Any, z: Any, c: Any = None, *, alpha: float = 0.05, parameter: int | str = 0) -> ConfidenceSet:
    """Values of a coefficient that the likelihood-ratio test accepts with the strong-instrument chi2(1).

    Homoskedastic, and NOT valid when instruments are weak and overidentify: it is here for comparison.
        Arguments as
    in :func:`anderson_rubin_set`.
    """
    data, index = _enter(y, x, z, c, alpha, "homoskedastic", None, parameter)
    labels = {"level": 1 - alpha, "method": "LR", "parameter": data.names[index]}
    m = _moments(*data[:4])
    smallest, _ = _eigenvalues(data, m)
    return _level_set(data, m, smallest + stats.chi2.isf(alpha, 1), index, labels)


@in_float64
def clr_set(
    y: Any,
    x: Any,
    z: Any,
    c: Any = None,
    *,
    alpha: float = 0.05,
    covariance: str = "homoskedastic",
    clusters: Any = None,
    parameter: int | str = 0,
) -> ConfidenceSet:
    """Values of a coefficient that Moreira's conditional likelihood-ratio test accepts.

    The recommended set when overidentified: valid for any strength of the instruments, never empty, and as
    short as the Wald interval when they are strong. Under homoskedasticity one level set, in closed form but
    for one scalar (Mikusheva 2010); robust and clustered versions invert the quasi-CLR of Kleibergen (2005).
    Equal to the chi2 Anderson-Rubin set when just identified. Arguments as in :func:`anderson_rubin_set`;
    with ``parameter``, the conservative version of Kleibergen (2021).
    """
    data, index = _enter(y, x, z, c, alpha, covariance, clusters, parameter)
    labels = {"level": 1 - alpha, "method": "CLR", "parameter": data.names[index]}
    k, p = data.z.shape[1], data.x.shape[1]
    if covariance != "homoskedastic":
        form = _form(data, covariance)
        if k == 1:
            return _robust_set(data, form, "AR", stats.chi2.isf(alpha, 1), labels)
        return _robust_set(data, form, "CLR", alpha, labels)
    m = _moments(*data[:4])
    if k == p:
        return _level_set(data, m, stats.chi2.isf(alpha, 1), index, labels)
    smallest, second = _eigenvalues(data, m)
    return _level_set(data, m, _clr_level(smallest, second, alpha, k=k - p + 1), index, labels)


@in_float64
def lm_set(
    y: Any,
    x: Any,
    z: Any,
    c: Any = None,
    *,
    alpha: float = 0.05,
    covariance: str = "homoskedastic",
    clusters: Any = None,
    parameter: int | str = 0,
) -> ConfidenceSet:
    """Values of a coefficient that Kleibergen's LM (K) test accepts.

    Valid for any strength of the instruments, but when overidentified and not the whole line it has a second,
    spurious piece round the least likely value, where the score vanishes too: prefer :func:`clr_set`.
    Arguments as in :func:`anderson_rubin_set`; with ``parameter``, the other coefficients take their LIML
    values under the null (Kleibergen 2004).
    """
    data, index = _enter(y, x, z, c, alpha, covariance, clusters, parameter)
    labels = {"level": 1 - alpha, "method": "LM", "parameter": data.names[index]}
    k, p = data.z.shape[1], data.x.shape[1]
    critical = stats.chi2.isf(alpha, 1)
    if covariance != "homoskedastic":
        return _robust_set(data, _form(data, covariance), "AR" if k == 1 else "LM", critical, labels)
    m = _moments(*data[:4])
    if k == p:
        return _level_set(data, m, critical, index, labels)
    if p > 1:
        white = _whiten(m, dof=_dof(data))
        excess = partial(_profiled_score_excess, white, parameter=index, critical=critical)
        return _circle_set(data, excess, index, labels)
    low, high = _lm_levels(*_eigenvalues(data, m), critical)
    spurious = _level_set(data, m, high, index, labels).complement()
    return _level_set(data, m, low, index, labels).union(spurious)


def _level_set(data: IVData, m: Moments, level: Any, index: int, labels: dict[str, Any]) -> ConfidenceSet:
    region = _level_region(m.projected, m.residual / _dof(data), level, parameter=index)
    return as_confidence_set(region, **labels)


def _eigenvalues(data: IVData, m: Moments) -> tuple[float, float]:
    """The two smallest eigenvalues of the whitened Gram matrix; the first is 0 if just identified."""
    eigenvalues = np.linalg.eigvalsh(_whiten(m, dof=_dof(data)).gram)
    just_identified = data.z.shape[1] == data.x.shape[1]
    return 0.0 if just_identified else max(float(eigenvalues[0]), 0.0), float(eigenvalues[1])


def _form(data: IVData, covariance: str) -> ReducedForm:
    return _reduced_form(*data[:4], covariance=covariance, clusters=data.clusters)


def _robust_set(data: IVData, form: ReducedForm, test: str, critical: float, labels: dict[str, Any]) -> ConfidenceSet:
    return _circle_set(data, partial(_robust_excess, form, test=test, critical=critical), 0, labels)


def _circle_set(data: IVData, excess: Any, index: int, labels: dict[str, Any]) -> ConfidenceSet:
    m, dof = _moments(*data[:4]), _dof(data)
    pair = np.ix_([0, 1 + index], [0, 1 + index])
    factor = np.linalg.cholesky(np.asarray(m.residual)[pair] / dof)
    projected = np.asarray(m.projected)
    center = np.linalg.lstsq(projected[1:, 1:], projected[1:, 0])[0][index]
    concentration = np.linalg.eigvalsh(_whiten(m, dof=dof).gram)[-1]
    return invert(excess, factor, center, concentration, **labels)


@partial(jax.jit, static_argnames="test")
def _robust_excess(form: ReducedForm, directions: Any, *, test: str, critical: float) -> Any:
    ar, lm, strength = jax.vmap(partial(robust_statistics, form))(directions)
    if test == "CLR":
        k = form.coefficients.shape[0]
        return critical - conditional_p_value(quasi_likelihood_ratio(ar, lm, strength), strength, k)
    return (ar if test == "AR" else lm) - critical


@partial(jax.jit, static_argnames="parameter")
def _profiled_score_excess(white: Whitened, directions: Any, *, parameter: int, critical: float) -> Any:
    def statistic(pair: Any) -> Any:
        direction = jnp.zeros(white.gram.shape[0], pair.dtype).at[0].set(pair[0]).at[1 + parameter].set(pair[1])
        return score_statistic(white.gram, profiled_direction(white, direction, parameter))

    return jax.vmap(statistic)(directions) - critical


def _enter(
    y: Any, x: Any, z: Any, c: Any, alpha: float, covariance: str, clusters: Any, parameter: int | str
) -> tuple[IVData, int]:
    check_range("alpha", alpha, above=0, below=1)
    check_choice("covariance", covariance, COVARIANCES)
    if (covariance == "cluster") != (clusters is not None):
        raise InputError(
            "clusters",
            found="none" if clusters is None else f"labels with covariance={covariance!r}",
            expected="labels exactly when covariance='cluster'",
        )
    data = check_iv_data(y, x, z, c, clusters)
    p = data.x.shape[1]
    if isinstance(parameter, str):
        if parameter not in data.names:
            raise InputError("parameter", found=repr(parameter), expected=f"one of {data.names}")
        index = data.names.index(parameter)
    elif isinstance(parameter, bool) or not isinstance(parameter, int | np.integer) or not 0 <= parameter < p:
        raise InputError("parameter", found=repr(parameter), expected=f"a name or a position below {p}")
    else:
        index = int(parameter)
    if covariance != "homoskedastic" and p > 1:
        raise InputError(
            "covariance",
            found=f"{covariance!r} with {p} endogenous regressors",
            expected="'homoskedastic', or one endogenous regressor",
        )
    return data, index


def _dof(data: IVData) -> int:
    return len(data.y) - data.z.shape[1] - (0 if data.c is None else data.c.shape[1])
