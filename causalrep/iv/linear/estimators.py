"""The k-class estimators and their relatives as classes, thin layers over :mod:`causalrep.iv.linear.kclass`."""

from typing import ClassVar

import jax

from causalrep.base.domains import Domain, Flag, Real
from causalrep.inference.sandwich import Covariance
from causalrep.iv.linear import kclass
from causalrep.iv.linear.base import SHRINKAGE, LinearIVEstimator, refuse_exact_rows
from causalrep.iv.linear.kclass import LinearFit
from causalrep.iv.linear.wild import WildBootstrapInference

# Compiled once per process and input shape, shared by all instances.
_ols = jax.jit(kclass.ols)
_two_stage_least_squares = jax.jit(kclass.two_stage_least_squares)
_liml = jax.jit(kclass.liml)
_fuller = jax.jit(kclass.fuller)
_k_class = jax.jit(kclass.k_class)
_jive = jax.jit(kclass.jive)
_anchor_regression = jax.jit(kclass.anchor_regression)


class OLS(WildBootstrapInference, LinearIVEstimator):
    """Ordinary least squares of the outcome on treatments and controls: the benchmark without instruments.

    See :class:`~causalrep.iv.linear.base.LinearIVEstimator` for the arguments and fitted attributes. ``fit`` accepts
    and ignores ``Z``, so that a comparison can loop over estimators.

    >>> OLS().fit([1.0, 3.0, 5.0, 8.0], [0.0, 1.0, 2.0, 3.0]).coef_.round(6).tolist()
    [2.3, 0.8]
    """

    _title = "Ordinary least squares"
    _uses_instruments = False

    def _estimate(self, y, x, z, c, covariance: Covariance) -> LinearFit:
        return _ols(y, x, c, covariance=covariance)


class TwoStageLeastSquares(WildBootstrapInference, LinearIVEstimator):
    """Two-stage least squares.

    See :class:`~causalrep.iv.linear.base.LinearIVEstimator` for the arguments and fitted attributes.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> z, u = rng.normal(size=(2, 5000))
    >>> t = z + u + rng.normal(size=5000)
    >>> y = 2 * t + 3 * u + rng.normal(size=5000)
    >>> lower, upper = TwoStageLeastSquares(covariance="HC1").fit(y, t, Z=z).ate_interval()
    >>> bool(lower < 2 < upper)
    True
    """

    _title = "Two-stage least squares"

    def _estimate(self, y, x, z, c, covariance: Covariance) -> LinearFit:
        return _two_stage_least_squares(y, x, z, c, covariance=covariance)


class LIML(LinearIVEstimator):
    """Limited-information maximum likelihood: nearly median-unbiased with many or weak instruments.

    See :class:`~causalrep.iv.linear.base.LinearIVEstimator` for the arguments and fitted attributes.
    """

    _title = "Limited-information maximum likelihood"

    def _estimate(self, y, x, z, c, covariance: Covariance) -> LinearFit:
        return _liml(y, x, z, c, covariance=covariance)


class Fuller(LinearIVEstimator):
    """Fuller's modification of LIML, which has moments.

    Args:
        a: 1 is nearly unbiased, 4 nearly minimizes the mean squared error, 0 is LIML.
        covariance: See :class:`~causalrep.iv.linear.base.LinearIVEstimator`, also for the arguments that follow.
        fit_intercept: Whether to add a constant.
        debiased: Whether to apply small-sample factors.
        bandwidth: Number of HAC lags.
    """

    _title = "Fuller's modified LIML"
    _domains = LinearIVEstimator._domains | {"a": Real(at_least=0)}

    def __init__(self, a=1.0, *, covariance="homoskedastic", fit_intercept=True, debiased=True, bandwidth=None):
        super().__init__(covariance=covariance, fit_intercept=fit_intercept, debiased=debiased, bandwidth=bandwidth)
        self.a = a

    def _estimate(self, y, x, z, c, covariance: Covariance) -> LinearFit:
        return _fuller(y, x, z, c, a=float(self.a), covariance=covariance)


class KClass(LinearIVEstimator):
    """The k-class estimator at a fixed kappa: 0 is OLS, 1 is 2SLS.

    Its intervals describe sampling around the limit of the estimator, which is the structural coefficient
    only for kappa = 1 (or if the treatments are exogenous).

    Args:
        kappa: The k-class parameter.
        covariance: See :class:`~causalrep.iv.linear.base.LinearIVEstimator`, also for the arguments that follow.
        fit_intercept: Whether to add a constant.
        debiased: Whether to apply small-sample factors.
        bandwidth: Number of HAC lags.
    """

    _title = "k-class estimator"
    _domains = LinearIVEstimator._domains | {"kappa": Real()}

    def __init__(self, kappa=1.0, *, covariance="homoskedastic", fit_intercept=True, debiased=True, bandwidth=None):
        super().__init__(covariance=covariance, fit_intercept=fit_intercept, debiased=debiased, bandwidth=bandwidth)
        self.kappa = kappa

    def _estimate(self, y, x, z, c, covariance: Covariance) -> LinearFit:
        return _k_class(y, x, z, c, kappa=float(self.kappa), covariance=covariance)


class JIVE(LinearIVEstimator):
    """Jackknife instrumental variables (JIVE1): first-stage fits that leave the own row out.

    Less biased than 2SLS with many instruments, but more dispersed with few weak ones.
    See :class:`~causalrep.iv.linear.base.LinearIVEstimator` for the arguments and fitted attributes.
    """

    _title = "Jackknife instrumental variables"

    def _estimate(self, y, x, z, c, covariance: Covariance) -> LinearFit:
        refuse_exact_rows(z, c, "rows with a first-stage fit from the others (drop these)")
        return _jive(y, x, z, c, covariance=covariance)


class AnchorRegression(LinearIVEstimator):
    """Anchor regression: least squares with a penalty on residuals that the anchors (instruments) predict.

    ``gamma = 1`` is OLS and ``gamma -> inf`` is 2SLS; predictions are protected against shifts of the anchors
    up to strength ``gamma``. No interval for the structural coefficient is valid (``stderr_`` is NaN, and
    ``conf_int`` raises ``NoIntervalError``): the shrinkage bias depends on the unobserved confounding.

    Args:
        gamma: Penalty, above 0.
        fit_intercept: Whether to add a constant.
    """

    _title = "Anchor regression"
    _needs_identification = False
    _no_interval = SHRINKAGE
    _domains: ClassVar[dict[str, Domain]] = {"gamma": Real(above=0), "fit_intercept": Flag()}

    def __init__(self, gamma=2.0, *, fit_intercept=True):
        super().__init__(fit_intercept=fit_intercept)
        self.gamma = gamma

    def _estimate(self, y, x, z, c, covariance: Covariance) -> LinearFit:
        return _anchor_regression(y, x, z, c, gamma=float(self.gamma))
