"""Weak-instrument-robust tests of hypothesized coefficients, on the user's data.

Each function checks its data, computes in float64 and returns Python floats. For simulations under ``jit`` and
``vmap``, use the functions of a :class:`~causalrep.iv.system.System` in :mod:`causalrep.iv.weak.statistics`.
"""

from typing import Any

import numpy as np

from causalrep.base.validation import check_choice
from causalrep.errors import InputError
from causalrep.iv.design import Design, check_covariance, evaluate, make_design
from causalrep.iv.distributions import TestResult
from causalrep.iv.weak import statistics


def anderson_rubin_test(
    Y: Any,
    T: Any,
    X: Any = None,
    *,
    Z: Any,
    null: Any = 0.0,
    treatment: str | int | None = None,
    covariance: str = "homoskedastic",
    clusters: Any = None,
    distribution: str = "F",
    fit_intercept: bool = True,
) -> TestResult:
    """Anderson-Rubin test that the treatments' coefficients equal ``null``: are the residuals uncorrelated with Z?

    Exact under normal homoskedastic errors (F reference), and valid for any strength of the instruments under
    the chosen covariance. It also has power against invalid instruments, so its set can be empty.

    Args:
        Y: Outcome (n,): array, Series or one-column frame.
        T: Endogenous treatments (n,) or (n, p).
        X: Exogenous controls (n, q), or None.
        Z: Excluded instruments (n, k), k >= p.
        null: Hypothesized value: (p,), or a number for one coefficient.
        treatment: Name or position of the one treatment to test, the coefficients of the others profiled out;
            None tests all of them jointly.
        covariance: ``"homoskedastic"``, ``"HC0"``, ``"HC1"`` or ``"cluster"``.
        clusters: Group labels (n,) of any type, for ``covariance="cluster"``.
        distribution: ``"F"``: statistic divided by k, against F(k, n - k - q), or F(k, G - 1) if clustered;
            ``"chi2"``: a statistic k times as large, against chi2(k).
        fit_intercept: Whether to add a constant to the controls.

    Raises:
        InputError: If an argument is wrong; the message names it.

    >>> rng = np.random.default_rng(0)
    >>> z, noise = rng.normal(size=(500, 2)), rng.normal(size=500)
    >>> t = z @ [0.5, 0.5] + noise + rng.normal(size=500)
    >>> y = 2 * t + noise
    >>> anderson_rubin_test(y, t, Z=z, null=2.0).p_value > 0.05, anderson_rubin_test(y, t, Z=z).p_value < 0.05
    (True, True)
    """
    check_choice("distribution", distribution, ("F", "chi2"))
    check_covariance(covariance, clusters)
    design = make_design(Y, T, X, Z, clusters, fit_intercept=fit_intercept)
    options = {"covariance": covariance, "distribution": distribution}
    return _test(statistics.anderson_rubin_statistic, design, null, treatment, **options)


def lm_test(
    Y: Any,
    T: Any,
    X: Any = None,
    *,
    Z: Any,
    null: Any = 0.0,
    treatment: str | int | None = None,
    covariance: str = "homoskedastic",
    clusters: Any = None,
    fit_intercept: bool = True,
) -> TestResult:
    """Kleibergen's LM (K) test that the treatments' coefficients equal ``null``; chi2(p), or chi2(1) for one.

    It spends its degrees of freedom on the coefficients alone, but its statistic also vanishes where the
    likelihood is smallest, so its set can have a spurious second piece. Arguments as in
    :func:`anderson_rubin_test`.
    """
    check_covariance(covariance, clusters)
    design = make_design(Y, T, X, Z, clusters, fit_intercept=fit_intercept)
    return _test(statistics.lm_statistic, design, null, treatment, covariance=covariance)


def lr_test(
    Y: Any,
    T: Any,
    X: Any = None,
    *,
    Z: Any,
    null: Any = 0.0,
    treatment: str | int | None = None,
    fit_intercept: bool = True,
) -> TestResult:
    """Likelihood-ratio test that the treatments' coefficients equal ``null``, against chi2(p).

    Homoskedastic. NOT robust to weak instruments when overidentified: its reference distribution is the one
    for strong instruments. :func:`clr_test` corrects it. Arguments as in :func:`anderson_rubin_test`.
    """
    return _test(statistics.lr_statistic, make_design(Y, T, X, Z, fit_intercept=fit_intercept), null, treatment)


def clr_test(
    Y: Any,
    T: Any,
    X: Any = None,
    *,
    Z: Any,
    null: Any = 0.0,
    treatment: str | int | None = None,
    covariance: str = "homoskedastic",
    clusters: Any = None,
    fit_intercept: bool = True,
) -> TestResult:
    """Moreira's conditional likelihood-ratio test that the treatments' coefficients equal ``null``.

    Nearly optimal among invariant similar tests of one coefficient under homoskedasticity (Andrews, Moreira,
    Stock 2006); for several coefficients, or one of several, the p-value is an upper bound. With a robust or
    clustered ``covariance`` (one treatment), it is the quasi-CLR test of Kleibergen (2005). ``df_num`` is the
    number of coefficients tested. Arguments as in :func:`anderson_rubin_test`.
    """
    check_covariance(covariance, clusters)
    design = make_design(Y, T, X, Z, clusters, fit_intercept=fit_intercept)
    return _test(statistics.clr_statistic, design, null, treatment, covariance=covariance)


def _test(statistic: Any, design: Design, null: Any, treatment: str | int | None, **options: str) -> TestResult:
    index = None if treatment is None else design.treatment_index(treatment)
    value, p = np.asarray(null, dtype=np.float64), len(design.treatments)
    if value.shape not in ((), (1 if index is not None else p,)) or not np.isfinite(value).all():
        expected = "a finite number" if index is not None or p == 1 else f"a finite number, or {p} of them"
        raise InputError("null", found=repr(null), expected=expected)
    return evaluate(statistic, design, value if index is None else value.reshape(()), index=index, **options)
