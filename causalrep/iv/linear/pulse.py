"""PULSE: the k-class estimate nearest to OLS whose residuals the instruments do not predict.

Jakobsen and Peters (2022), "Distributional robustness of k-class estimators and the PULSE", section 3.
"""

import warnings
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.stats import chi2
from jaxtyping import Array, Bool, Float

from causalrep.base.domains import Domain, Flag, Real
from causalrep.errors import CausalrepWarning
from causalrep.inference.sandwich import Covariance
from causalrep.iv.design import Design
from causalrep.iv.linear.base import SHRINKAGE, LinearIVEstimator
from causalrep.iv.linear.kclass import LinearFit, Reduced, fit_reduced, reduce_data, treatment_coef


class PulseFit(NamedTuple):
    """A PULSE fit; a pytree.

    Attributes:
        fit: The k-class fit at the selected kappa, its covariance NaN: no interval is valid after this
            selection.
        statistic: Test statistic of the residuals, chi-squared with k degrees of freedom under exogeneity.
        p_value: p-value of the statistic: ``p_min`` at an interior solution.
        feasible: Whether 2SLS passes the test; if not, the fit is 2SLS.
    """

    fit: LinearFit
    statistic: Float[Array, ""]
    p_value: Float[Array, ""]
    feasible: Bool[Array, ""]


def pulse(
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"],
    c: Float[Array, "n q"] | None = None,
    *,
    p_min: float | Float[Array, ""] = 0.05,
    iterations: int = 60,
) -> PulseFit:
    """The smallest kappa in [0, 1] at which the test of uncorrelated residuals has p >= p_min.

    The statistic is ``(n - k - q) ||P e||^2 / ||e||^2`` (the paper's with a small-sample factor in place of
    n). It falls as kappa rises, so bisection finds the boundary; each step solves a p x p problem.

    Args:
        y: Outcome.
        x: Treatments.
        z: Instruments, k >= p.
        c: Controls with the constant, or None.
        p_min: Smallest p-value accepted.
        iterations: Number of bisection steps; the error of kappa is at most 2^-iterations.
    """
    reduced = reduce_data(y, x, z, c)
    dtype = y.dtype
    n = y.shape[0]

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) / 2
        accepted = residual_test(reduced, middle, n)[1] >= p_min
        return jnp.where(accepted, low, middle), jnp.where(accepted, middle, high)

    _, boundary = jax.lax.fori_loop(0, iterations, halve, (jnp.zeros((), dtype), jnp.ones((), dtype)))
    kappa = jnp.where(residual_test(reduced, jnp.zeros((), dtype), n)[1] >= p_min, 0.0, boundary)
    statistic, p_value = residual_test(reduced, kappa, n)
    fit = fit_reduced(reduced, kappa, 0.0, y, x, z, c, None)
    # Evaluated at kappa = 1: at the selected kappa the p-value is p_min up to rounding.
    feasible = residual_test(reduced, jnp.ones((), dtype), n)[1] >= p_min
    return PulseFit(fit, statistic, p_value, feasible)


def residual_test(reduced: Reduced, kappa: Float[Array, ""], n: int) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Statistic and p-value of the test that instruments do not predict the residuals of b(kappa)."""
    q, k, p = reduced.sizes
    b = treatment_coef(reduced, kappa)
    on = reduced.on_instruments[:, p] - reduced.on_instruments[:, :p] @ b
    off = reduced.off_instruments[:, p] - reduced.off_instruments[:, :p] @ b
    explained = jnp.sum(on**2)
    statistic = (n - k - q) * explained / (explained + jnp.sum(off**2))
    return statistic, chi2.sf(statistic, k)


_pulse = jax.jit(pulse)


class PULSE(LinearIVEstimator):
    """PULSE (Jakobsen and Peters 2022): as near to OLS as the instruments allow.

    The estimator takes the smallest kappa in [0, 1] at which the test that instruments and residuals are uncorrelated
    does not reject. If even 2SLS is rejected, it warns and returns 2SLS (``feasible_`` is False). No interval
    is valid after this selection: ``stderr_`` is NaN, and ``conf_int`` raises ``NoIntervalError``.

    Args:
        p_min: Smallest p-value accepted.
        fit_intercept: Whether to add a constant.

    Attributes:
        p_value_: p-value of the residual test at the selected kappa.
        feasible_: Whether 2SLS passes the test.
    """

    _title = "PULSE"
    _no_interval = SHRINKAGE
    _domains: ClassVar[dict[str, Domain]] = {"p_min": Real(above=0, below=1), "fit_intercept": Flag()}

    def __init__(self, p_min=0.05, *, fit_intercept=True):
        super().__init__(fit_intercept=fit_intercept)
        self.p_min = p_min

    def _estimate(self, y, x, z, c, covariance: Covariance) -> PulseFit:
        return _pulse(y, x, z, c, p_min=float(self.p_min))

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
