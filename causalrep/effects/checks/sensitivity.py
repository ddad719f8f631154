"""How strong must an unobserved confounder be to change the conclusion? Bounds, robustness values, the E-value.

Unconfoundedness cannot be tested; these functions report how strong a violation an estimate survives.
:func:`omitted_variable_bounds` takes a fitted estimator whose averages are AIPW, :func:`ols_sensitivity` a coefficient
with its standard error, :func:`e_value` a risk ratio.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize, stats

from causalrep.base.validation import check_choice, check_count, check_range
from causalrep.effects.base import EffectEstimator
from causalrep.errors import InputError

_LARGEST = 0.9999


@dataclass(frozen=True)
class OmittedVariableBounds:
    """Bounds on an average effect under an unobserved confounder of given strength, and how strong it must be.

    Attributes:
        estimate: The estimate without the confounder.
        bounds: Smallest and largest value of the estimate after correcting for the bias.
        confidence_bounds: One-sided confidence limits of the two ends.
        cf_y: Share of the outcome's residual variance that the confounder explains.
        cf_d: Share of the variance of the (long) weights that it accounts for.
        rho: Correlation of the two errors; 1 is the worst case.
        robustness_value: The strength ``cf_y = cf_d`` at which the bounds reach the null.
        robustness_value_confidence: The strength at which the confidence bounds reach the null, so that significance is
            lost.
    """

    estimate: float
    bounds: tuple[float, float]
    confidence_bounds: tuple[float, float]
    cf_y: float
    cf_d: float
    rho: float
    robustness_value: float
    robustness_value_confidence: float


def omitted_variable_bounds(
    fitted: EffectEstimator,
    *,
    cf_y: float = 0.03,
    cf_d: float = 0.03,
    rho: float = 1.0,
    effect: Literal["ate", "att"] = "ate",
    null: float = 0.0,
    level: float = 0.95,
) -> OmittedVariableBounds:
    """Bounds of Chernozhukov, Cinelli, Newey, Sharma and Syrgkanis (2022) for a doubly robust average effect.

    ``|bias| <= |rho| sqrt(cf_y cf_d / (1 - cf_d)) sqrt(sigma^2 nu^2)``, with the outcome's residual variance
    ``sigma^2`` and the mean square ``nu^2`` of the Riesz representer (the inverse propensity weights).

    Args:
        fitted: AIPW, a meta-learner or a network, after ``fit``.
        cf_y: Strength on the outcome, in [0, 1).
        cf_d: Strength on the treatment, in [0, 1).
        rho: Correlation of the two errors, in [0, 1].
        effect: ``"ate"`` or ``"att"``.
        null: The effect that the robustness values refer to.
        level: Level of each one-sided confidence bound.

    Raises:
        InputError: If an argument is out of its range, or the estimator has no outcome regressions or is not fitted.
    """
    null = check_range("null", null)
    cf_y = check_range("cf_y", cf_y, at_least=0, below=1)
    cf_d = check_range("cf_d", cf_d, at_least=0, below=1)
    rho = check_range("rho", rho, at_least=0, at_most=1)
    level = check_range("level", level, above=0.5, below=1)
    check_choice("effect", effect, ("ate", "att"))
    if not hasattr(fitted, "nuisances_"):
        fits = isinstance(fitted, EffectEstimator) and hasattr(fitted, "design_")
        found = f"{type(fitted).__name__}, which has no cross-fitted outcome regressions" if fits else repr(fitted)
        raise InputError("fitted", found=found, expected="AIPW, a meta-learner or a network, after fit")
    average = fitted.ate_ if effect == "ate" else fitted.att_
    estimate, influence = float(average.value), np.asarray(average.influence)
    width, width_influence = _bias_scale(fitted, effect)
    quantile = float(stats.norm.isf(1 - level))

    def ends(strength: float) -> tuple[float, float, float, float]:
        se = [
            float(np.sqrt(np.mean((influence + sign * strength * width_influence) ** 2) / len(influence)))
            for sign in (-1, 1)
        ]
        low, high = estimate - strength * width, estimate + strength * width
        return low, high, low - quantile * se[0], high + quantile * se[1]

    low, high, low_limit, high_limit = ends(rho * math.sqrt(cf_y * cf_d / (1 - cf_d)))

    def value(position: int) -> float:
        """The common strength at which this end of :func:`ends` (low ends are 0 and 2) meets the null."""
        if estimate < null:
            position += 1

        def gap(cf: float) -> float:
            return (ends(rho * cf / math.sqrt(1 - cf))[position] - null) * (1 if estimate >= null else -1)

        if gap(0.0) <= 0:
            return 0.0
        return float(optimize.brentq(gap, 0.0, _LARGEST, xtol=1e-10)) if gap(_LARGEST) < 0 else _LARGEST

    return OmittedVariableBounds(estimate, (low, high), (low_limit, high_limit), cf_y, cf_d, rho, value(0), value(2))


def _bias_scale(fitted: EffectEstimator, effect: str) -> tuple[float, np.ndarray]:
    """``sqrt(sigma^2 nu^2)`` and its influence function (n,)."""
    t, y = fitted.design_.t, fitted.design_.y
    e = np.clip(fitted.nuisances_.propensity, fitted._clip, 1 - fitted._clip)
    share = t.mean()
    weight, expected = (1.0, 1.0) if effect == "ate" else (t / share, e / share)
    alpha = expected * (t / e - (1 - t) / (1 - e))
    moment = weight * expected * (1 / e + 1 / (1 - e))
    residual = y - np.where(t == 1, fitted.nuisances_.mu1, fitted.nuisances_.mu0)
    sigma2, nu2_rows = float(np.mean(residual**2)), 2 * moment - alpha**2
    nu2 = float(np.mean(nu2_rows))
    if nu2 <= 0:
        raise InputError("fitted", found="weights whose mean square cannot be estimated", expected="better overlap")
    scale = math.sqrt(sigma2 * nu2)
    return scale, (sigma2 * (nu2_rows - nu2) + nu2 * (residual**2 - sigma2)) / (2 * scale)


@dataclass(frozen=True)
class OLSSensitivity:
    """Sensitivity of a least-squares coefficient (Cinelli and Hazlett 2020).

    Attributes:
        estimate: The coefficient of the treatment.
        se: Its standard error.
        dof: Residual degrees of freedom.
        partial_r2: Partial R2 of the treatment with the outcome: a confounder that explained all of the outcome would
            have to explain this share of the treatment to bring the estimate to zero.
        robustness_value: The share of the residual variance of both treatment and outcome that brings it to zero.
        robustness_value_significance: The same for losing significance at the level asked for.
    """

    estimate: float
    se: float
    dof: int
    partial_r2: float
    robustness_value: float
    robustness_value_significance: float

    def adjusted(self, r2_d: float, r2_y: float) -> tuple[float, float]:
        """Estimate and standard error had a confounder of these partial R2 been in the regression.

        Args:
            r2_d: Partial R2 with the treatment, given the covariates, in [0, 1).
            r2_y: Partial R2 with the outcome, given the covariates and the treatment, in [0, 1].
        """
        r2_d = check_range("r2_d", r2_d, at_least=0, below=1)
        r2_y = check_range("r2_y", r2_y, at_least=0, at_most=1)
        bias = self.se * math.sqrt(self.dof) * math.sqrt(r2_y * r2_d / (1 - r2_d))
        se = self.se * math.sqrt((1 - r2_y) / (1 - r2_d)) * math.sqrt(self.dof / (self.dof - 1))
        return math.copysign(1.0, self.estimate) * (abs(self.estimate) - bias), se

    def benchmark(self, t_treatment: float, t_outcome: float, *, times: float = 1.0) -> tuple[float, float]:
        """Partial R2 ``(r2_d, r2_y)`` of a confounder ``times`` as strong as an observed covariate.

        Args:
            t_treatment: The covariate's t statistic in the regression of the treatment on the covariates.
            t_outcome: Its t statistic in the regression of the outcome on treatment and covariates.
            times: How many times as strong.

        Raises:
            InputError: If so strong a confounder is impossible.
        """
        times = check_range("times", times, above=0)
        t_treatment, t_outcome = check_range("t_treatment", t_treatment), check_range("t_outcome", t_outcome)
        # The regression of the treatment does not contain the treatment, so it has one more degree of freedom.
        r_d, r_y = (s**2 / (s**2 + dof) for s, dof in ((t_treatment, self.dof + 1), (t_outcome, self.dof)))
        r2_d = times * r_d / (1 - r_d)
        r_z = times * r_d**2 / ((1 - times * r_d) * (1 - r_d)) if times * r_d < 1 else 1.0
        if r2_d >= 1 or r_z >= 1:
            raise InputError("times", found=f"{times:g}", expected="a confounder that explains less than everything")
        r2_y = ((math.sqrt(times) + math.sqrt(r_z)) / math.sqrt(1 - r_z)) ** 2 * r_y / (1 - r_y)
        return r2_d, min(r2_y, 1.0)


def ols_sensitivity(estimate: float, se: float, dof: int, *, q: float = 1.0, alpha: float = 0.05) -> OLSSensitivity:
    """Cinelli and Hazlett's (2020) summary of a least-squares coefficient.

    Args:
        estimate: The coefficient of the treatment.
        se: Its (homoskedastic) standard error.
        dof: Residual degrees of freedom of the regression.
        q: The share of the estimate to be explained away; 1 for all.
        alpha: Level of the robustness value for significance.

    >>> result = ols_sensitivity(0.0973158, 0.0232565, 783)
    >>> round(result.robustness_value, 4), round(result.robustness_value_significance, 4)
    (0.1388, 0.0763)
    """
    estimate, se = check_range("estimate", estimate), check_range("se", se, above=0)
    check_count("dof", dof, at_least=2)
    dof = int(dof)
    q, alpha = check_range("q", q, above=0), check_range("alpha", alpha, above=0, below=1)
    t = estimate / se
    f = q * abs(t) / math.sqrt(dof)
    critical = float(stats.t.isf(alpha / 2, dof - 1)) / math.sqrt(dof - 1)
    rest = f - critical
    if rest <= 0:
        significant = 0.0
    elif f > 1 / critical:
        significant = (f**2 - critical**2) / (1 + f**2)
    else:
        significant = _robustness(rest)
    return OLSSensitivity(estimate, se, dof, t**2 / (t**2 + dof), _robustness(f), significant)


def _robustness(f: float) -> float:
    return (math.sqrt(f**4 + 4 * f**2) - f**2) / 2


@dataclass(frozen=True)
class EValue:
    """The least risk ratio that a confounder must have with both treatment and outcome to explain an estimate.

    Attributes:
        point: E-value of the estimate.
        limit: E-value of the end of the interval that is closer to no effect; 1 if the interval contains no effect;
            None if no interval was given.
    """

    point: float
    limit: float | None


def e_value(risk_ratio: float, interval: tuple[float, float] | None = None) -> EValue:
    """E-value of a risk ratio (VanderWeele and Ding 2017): ``RR + sqrt(RR (RR - 1))``, of ``1/RR`` below one.

    An odds or hazard ratio serves as a risk ratio if the outcome is rare; see :func:`e_value_of_difference` for a
    continuous outcome.

    >>> round(e_value(3.9).point, 3), round(e_value(0.8).point, 3)
    (7.263, 1.809)
    """
    ratio = check_range("risk_ratio", risk_ratio, above=0)
    if interval is None:
        return EValue(_e(ratio), None)
    if len(interval) != 2:
        raise InputError("interval", found=f"{len(interval)} ends", expected="two")
    low, high = (check_range("interval", end, above=0) for end in interval)
    if not low <= ratio <= high:
        raise InputError("interval", found=f"({low:g}, {high:g})", expected=f"ends around the risk ratio {ratio:g}")
    return EValue(_e(ratio), 1.0 if low <= 1 <= high else _e(low if ratio > 1 else high))


def e_value_of_difference(estimate: float, se: float, outcome_sd: float) -> EValue:
    """E-value of a difference in means, by the approximate risk ratio ``exp(0.91 d)`` of the standardized difference d.

    The interval of that risk ratio is ``exp(0.91 d +- 1.78 se_d)``.

    Args:
        estimate: The average effect.
        se: Its standard error.
        outcome_sd: Standard deviation of the outcome.
    """
    sd = check_range("outcome_sd", outcome_sd, above=0)
    d, se_d = check_range("estimate", estimate) / sd, check_range("se", se, at_least=0) / sd
    return e_value(math.exp(0.91 * d), (math.exp(0.91 * d - 1.78 * se_d), math.exp(0.91 * d + 1.78 * se_d)))


def _e(ratio: float) -> float:
    ratio = max(ratio, 1 / ratio)
    return ratio + math.sqrt(ratio * (ratio - 1))
