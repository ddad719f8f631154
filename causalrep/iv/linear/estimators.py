"""Linear instrumental-variable estimators with scikit-learn's habits, thin over pure functions."""

import warnings

import jax
from scipy import stats

from causalrep.base.validation import check_choice, check_range
from causalrep.errors import CausalrepWarning, InputError
from causalrep.inference.sandwich import Covariance
from causalrep.iv.linear import kclass
from causalrep.iv.linear.base import LinearIVEstimator
from causalrep.iv.linear.design import Design
from causalrep.iv.linear.gmm import STEPS, WEIGHTS, GMMFit, gmm
from causalrep.iv.linear.kclass import LinearFit
from causalrep.iv.linear.pulse import PulseFit, pulse
from causalrep.iv.linear.wild import WildBootstrapEstimator

# Compiled once per process and input shape, whichever instance calls.
_ols = jax.jit(kclass.ols)
_two_stage_least_squares = jax.jit(kclass.two_stage_least_squares)
_liml = jax.jit(kclass.liml)
_fuller = jax.jit(kclass.fuller)
_k_class = jax.jit(kclass.k_class)
_jive = jax.jit(kclass.jive)
_anchor_regression = jax.jit(kclass.anchor_regression)
_gmm = jax.jit(gmm, static_argnames="steps")
_pulse = jax.jit(pulse)


class OLS(WildBootstrapEstimator):
    """Ordinary least squares of the outcome on treatments and controls: the benchmark without instruments.

    See :class:`~causalrep.iv.linear.base.LinearIVEstimator` for the arguments and fitted attributes. ``fit`` accepts
    and ignores ``Z``, so that a comparison can loop over estimators.

    >>> import numpy as np
    >>> t = np.arange(10.0)
    >>> OLS().fit(1 + 2 * t, t).coef_.round(6).tolist()
    [2.0, 1.0]
    """

    _title = "Ordinary least squares"
    _uses_instruments = False

    def _estimate(self, y, x, z, c, covariance: Covariance) -> LinearFit:
        return _ols(y, x, c, covariance=covariance)


class TwoStageLeastSquares(WildBootstrapEstimator):
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
        a: 1 is nearly unbiased, 4 nearly minimises the mean squared error, 0 is LIML.
        covariance: See :class:`~causalrep.iv.linear.base.LinearIVEstimator`, also for what follows.
        fit_intercept: Add a constant.
        debiased: Small-sample factors.
        bandwidth: HAC lags.
    """

    _title = "Fuller's modified LIML"

    def __init__(self, a=1.0, *, covariance="homoskedastic", fit_intercept=True, debiased=True, bandwidth=None):
        super().__init__(covariance=covariance, fit_intercept=fit_intercept, debiased=debiased, bandwidth=bandwidth)
        self.a = a

    def _estimate(self, y, x, z, c, covariance: Covariance) -> LinearFit:
        a = check_range("a", self.a, at_least=0)
        return _fuller(y, x, z, c, a=a, covariance=covariance)


class KClass(LinearIVEstimator):
    """The k-class estimator at a fixed kappa: 0 is OLS, 1 is 2SLS.

    Its intervals describe sampling around the limit of the estimator, which is the structural coefficient
    only for kappa = 1 (or if the treatments are exogenous).

    Args:
        kappa: The k-class parameter.
        covariance: See :class:`~causalrep.iv.linear.base.LinearIVEstimator`, also for what follows.
        fit_intercept: Add a constant.
        debiased: Small-sample factors.
        bandwidth: HAC lags.
    """

    _title = "k-class estimator"

    def __init__(self, kappa=1.0, *, covariance="homoskedastic", fit_intercept=True, debiased=True, bandwidth=None):
        super().__init__(covariance=covariance, fit_intercept=fit_intercept, debiased=debiased, bandwidth=bandwidth)
        self.kappa = kappa

    def _estimate(self, y, x, z, c, covariance: Covariance) -> LinearFit:
        return _k_class(y, x, z, c, kappa=check_range("kappa", self.kappa), covariance=covariance)


class JIVE(LinearIVEstimator):
    """Jackknife instrumental variables (JIVE1): first-stage fits that leave the own row out.

    Less biased than 2SLS with many instruments, but more dispersed with few weak ones.
    See :class:`~causalrep.iv.linear.base.LinearIVEstimator` for the arguments and fitted attributes.
    """

    _title = "Jackknife instrumental variables"

    def _estimate(self, y, x, z, c, covariance: Covariance) -> LinearFit:
        return _jive(y, x, z, c, covariance=covariance)


class GMM(LinearIVEstimator):
    """Efficient generalised method of moments.

    Args:
        weighting: ``"two-step"``, ``"iterated"`` or ``"cue"`` (continuously updating).
        covariance: Of the moments, for the weights and the standard errors: ``"HC0"`` (robust), ``"HC1"``,
            ``"homoskedastic"`` or ``"cluster"``.
        fit_intercept: Add a constant.
        debiased: Small-sample factors and Student t; off by default, as GMM is a large-sample method.

    Attributes:
        j_statistic_: Hansen's J.
        j_dof_: Its degrees of freedom, the number of instruments beyond treatments.
        j_pvalue_: Its p-value; NaN when just identified.
    """

    _kinds = WEIGHTS

    def __init__(self, weighting="two-step", *, covariance="HC0", fit_intercept=True, debiased=False):
        super().__init__(covariance=covariance, fit_intercept=fit_intercept, debiased=debiased)
        self.weighting = weighting

    @property
    def _title(self) -> str:
        return f"Generalised method of moments ({self.weighting})"

    def _estimate(self, y, x, z, c, covariance: Covariance) -> GMMFit:
        steps = check_choice("weighting", self.weighting, STEPS)
        moments = z.shape[1] + (0 if c is None else c.shape[1])
        if covariance.kind == "cluster" and covariance.n_clusters <= moments:
            raise InputError(
                "clusters",
                found=f"{covariance.n_clusters} groups for {moments} moments",
                expected="more groups than instruments and controls together, to weight by groups",
            )
        return _gmm(y, x, z, c, steps=steps, covariance=covariance)

    def _store(self, design: Design, fit: GMMFit) -> None:
        super()._store(design, fit)
        self.j_statistic_, self.j_dof_ = float(fit.j_statistic), int(fit.j_dof)
        self.j_pvalue_ = float(stats.chi2.sf(self.j_statistic_, self.j_dof_)) if self.j_dof_ else float("nan")
        if not fit.converged:
            warnings.warn(f"GMM ({self.weighting}) did not converge", CausalrepWarning, stacklevel=3)

    def _summary_facts(self) -> list[tuple[str, str]]:
        facts = super()._summary_facts()
        if self.j_dof_:
            facts.append(("Hansen J", f"{self.j_statistic_:.4f}, df {self.j_dof_}, p = {self.j_pvalue_:.4f}"))
        return facts


class Penalised(LinearIVEstimator):
    """Estimators between OLS and 2SLS by design: a point without a valid interval."""

    _needs_identification = False
    _no_interval = (
        "the estimate is shrunk from 2SLS towards OLS on purpose, and its bias for the structural "
        "coefficient depends on the confounding, which the data do not reveal. For intervals use "
        "TwoStageLeastSquares, LIML or a weak-instrument-robust set."
    )

    def __init__(self, *, fit_intercept=True):
        super().__init__(fit_intercept=fit_intercept)


class AnchorRegression(Penalised):
    """Anchor regression: least squares with a penalty on residuals that the anchors (instruments) predict.

    ``gamma = 1`` is OLS and ``gamma -> inf`` is 2SLS; predictions are protected against shifts of the anchors
    up to strength ``gamma``. No interval for the structural coefficient is valid (``stderr_`` is NaN, and
    ``conf_int`` raises ``NoIntervalError``): the shrinkage bias depends on the unobserved confounding.

    Args:
        gamma: Penalty, above 0.
        fit_intercept: Add a constant.
    """

    _title = "Anchor regression"

    def __init__(self, gamma=2.0, *, fit_intercept=True):
        super().__init__(fit_intercept=fit_intercept)
        self.gamma = gamma

    def _estimate(self, y, x, z, c, covariance: Covariance) -> LinearFit:
        return _anchor_regression(y, x, z, c, gamma=check_range("gamma", self.gamma, above=0))


class PULSE(Penalised):
    """PULSE (Jakobsen and Peters 2022): as near to OLS as the instruments allow.

    It takes the smallest kappa in [0, 1] at which the test that instruments and residuals are uncorrelated
    does not reject. If even 2SLS is rejected, it warns and returns 2SLS (``feasible_`` is False). No interval
    is valid after this selection: ``stderr_`` is NaN, and ``conf_int`` raises ``NoIntervalError``.

    Args:
        p_min: Smallest p-value accepted.
        fit_intercept: Add a constant.

    Attributes:
        p_value_: p-value of the residual test at the selected kappa.
        feasible_: Whether 2SLS passes the test.
    """

    _title = "PULSE"
    _needs_identification = True

    def __init__(self, p_min=0.05, *, fit_intercept=True):
        super().__init__(fit_intercept=fit_intercept)
        self.p_min = p_min

    def _estimate(self, y, x, z, c, covariance: Covariance) -> PulseFit:
        return _pulse(y, x, z, c, p_min=check_range("p_min", self.p_min, above=0, below=1))

    def _store(self, design: Design, fit: PulseFit) -> None:
        super()._store(design, fit.fit)
        self.p_value_, self.feasible_ = float(fit.p_value), bool(fit.feasible)
        if not self.feasible_:
            warnings.warn(
                f"The instruments predict the residuals of 2SLS (p = {self.p_value_:.2g} < {self.p_min:g}): "
                "no kappa in [0, 1] passes, and PULSE returns 2SLS. Doubt the exclusion of an instrument.",
                CausalrepWarning,
                stacklevel=3,
            )
