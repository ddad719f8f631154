"""Scores of treatment-effect estimates against a known truth, or against a randomized subset.

All arguments of a score have one shape: a column and a vector would be broadcast to a matrix, so they are refused. So
are values that are missing, unless ``where`` leaves them out, and (unless traced) a ``where`` that leaves no unit; a
traced one gives NaN.

Sources: Hill (2011) for PEHE; Shalit, Johansson and Sontag (2017) for the policy risk and the error on the treated.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from causalrep.base.checks import as_alike, is_concrete
from causalrep.errors import InputError
from causalrep.precision import keep_float64

Mask = Bool[Array, " n"] | Float[Array, " n"]


@keep_float64
def pehe(effect: Float[Array, " n"], truth: Float[Array, " n"], where: Mask | None = None) -> Float[Array, ""]:
    """Precision in estimating heterogeneous effects, ``sqrt(mean((tau_hat - tau)^2))``.

    Args:
        effect: Estimated effects.
        truth: True effects: ``mu1 - mu0`` (noiseless) unless a benchmark says otherwise.
        where: Units to average over (1 or True); default all.

    >>> import jax.numpy as jnp
    >>> float(pehe(jnp.array([1.0, 5.0]), jnp.array([4.0, 1.0])) ** 2)
    12.5
    """
    (effect, truth), where = _alike(where, effect=effect, truth=truth)
    if where is None:
        return _root_mean_square(effect, truth)
    return jnp.sqrt(_mean((effect - truth) ** 2, where))


@keep_float64
def ate_error(effect: Float[Array, " n"], truth: Float[Array, " n"], where: Mask | None = None) -> Float[Array, ""]:
    """Absolute error of the average effect, ``|mean(tau_hat) - mean(tau)|``.

    >>> float(ate_error(jnp.array([1.0, 5.0]), jnp.array([4.0, 1.0])))
    0.5
    """
    (effect, truth), where = _alike(where, effect=effect, truth=truth)
    return jnp.abs(_mean(effect, where) - _mean(truth, where))


@keep_float64
def randomized_att(
    y: Float[Array, " n"], t: Float[Array, " n"], randomized: Mask, where: Mask | None = None
) -> Float[Array, ""]:
    """Effect on the treated from a randomized subset: mean of the treated minus mean of the *randomized* controls.

    Args:
        y: Outcomes.
        t: Treatments; every treated unit is in the experiment.
        randomized: Units of the experiment (1 or True).
        where: Units to use.

    >>> float(randomized_att(jnp.array([3.0, 1.0, 9.0]), jnp.array([1.0, 0.0, 0.0]), jnp.array([1.0, 1.0, 0.0])))
    2.0
    """
    (y,), t, randomized, where = _experiment(t, randomized, where, y=y)
    return _mean(y, where * t, "T") - _mean(y, where * (1 - t) * randomized, "randomized")


@keep_float64
def att_error(
    effect: Float[Array, " n"],
    y: Float[Array, " n"],
    t: Float[Array, " n"],
    randomized: Mask,
    where: Mask | None = None,
) -> Float[Array, ""]:
    """Absolute error of the effect on the treated against :func:`randomized_att` of the same units.

    >>> y, t = jnp.array([3.0, 1.0]), jnp.array([1.0, 0.0])
    >>> float(att_error(jnp.array([1.5, 0.0]), y, t, jnp.ones(2)))
    0.5
    """
    (effect, y), t, randomized, where = _experiment(t, randomized, where, effect=effect, y=y)
    return jnp.abs(randomized_att(y, t, randomized, where) - _mean(effect, where * t * randomized, "randomized"))


@keep_float64
def policy_risk(
    effect: Float[Array, " n"],
    y: Float[Array, " n"],
    t: Float[Array, " n"],
    randomized: Mask | None = None,
    where: Mask | None = None,
) -> Float[Array, ""]:
    """One minus the value of treating every unit with a positive estimated effect, on randomized units.

    ``1 - [P(pi=1) E(y | pi=1, t=1) + P(pi=0) E(y | pi=0, t=0)]`` with ``pi = 1{tau_hat > 0}``; a term whose cell is
    empty counts as 0, as in the original.

    Args:
        effect: Estimated effects.
        y: Outcomes, higher is better, usually 0 or 1.
        t: Treatments.
        randomized: Units of the experiment; default all.
        where: Units to use.

    >>> y, t = jnp.array([1.0, 0.0]), jnp.array([1.0, 0.0])
    >>> float(policy_risk(jnp.array([1.0, 1.0]), y, t)), float(policy_risk(jnp.array([-1.0, -1.0]), y, t))
    (0.0, 1.0)
    """
    (effect, y), t, randomized, where = _experiment(t, randomized, where, effect=effect, y=y)
    inside = where * randomized
    treat = (effect > 0).astype(y.dtype)
    share = _mean(treat, inside, "randomized")
    treated = _weighted_mean(y, inside * treat * t, 0.0)
    untreated = _weighted_mean(y, inside * (1 - treat) * (1 - t), 0.0)
    return 1.0 - (share * treated + (1 - share) * untreated)


@keep_float64
def coverage(
    low: Float[Array, " n"], high: Float[Array, " n"], truth: Float[Array, " n"], where: Mask | None = None
) -> Float[Array, ""]:
    """Share of true values inside their intervals, ends included.

    >>> float(coverage(jnp.zeros(2), jnp.ones(2), jnp.array([1.0, 2.0])))
    0.5
    """
    (low, high, truth), where = _alike(where, infinite=True, low=low, high=high, truth=truth)
    return _mean(((low <= truth) & (truth <= high)).astype(low.dtype), where)


@keep_float64
def interval_width(low: Float[Array, " n"], high: Float[Array, " n"], where: Mask | None = None) -> Float[Array, ""]:
    """Mean width of intervals; infinite if one of them is.

    >>> float(interval_width(jnp.zeros(2), jnp.array([1.0, 2.0])))
    1.5
    """
    (low, high), where = _alike(where, infinite=True, low=low, high=high)
    return _mean(high - low, where)


def _alike(where: Mask | None, *, infinite: bool = False, **values: Any) -> tuple[list[Array], Array | None]:
    """Values and weights of one shape; the values of units without weight may be anything, NaN included."""
    if where is None:
        return as_alike(infinite=infinite, **values), None
    (weights,) = as_alike(where=where)
    if is_concrete(weights) and (np.asarray(weights) < 0).any():
        raise InputError("where", found="negative weights", expected="at least 0")
    return as_alike(weights, infinite=infinite, **values), weights


def _experiment(
    t: Array, randomized: Mask | None, where: Mask | None, **values: Any
) -> tuple[list[Array], Array, Array, Array]:
    """Values, treatments, whether units are randomized and whether they are used: all of them by default."""
    arrays, weights = _alike(where, **values)
    alike = {"randomized": randomized, "where": weights}
    given = {name: value for name, value in alike.items() if value is not None}
    (name, value), *_ = values.items()
    _, treated, *masks = as_alike(weights, **{name: value}, T=t, **given)
    known = dict(zip(given, masks, strict=True))
    if is_concrete(treated, *masks):
        used = np.ones(treated.shape) if weights is None else np.asarray(weights)
        if not np.isin(np.asarray(treated)[used > 0], (0, 1)).all():
            raise InputError("T", found="other values", expected="0 and 1")
    ones = jnp.ones_like(arrays[0])
    return arrays, treated, known.get("randomized", ones), known.get("where", ones)


def _mean(values: Float[Array, " n"], where: Array | None, argument: str = "where") -> Float[Array, ""]:
    """Mean over the units with positive weight; without any an error, or NaN if the weights are traced."""
    if where is None:
        return jnp.mean(values)
    if is_concrete(where) and not np.asarray(where).any():
        raise InputError(argument, found="no units to average over", expected="at least one with positive weight")
    return _weighted_mean(values, where, jnp.nan)


@jax.jit
def _root_mean_square(effect: Float[Array, " n"], truth: Float[Array, " n"]) -> Float[Array, ""]:
    return jnp.sqrt(jnp.mean((effect - truth) ** 2))


@jax.jit
def _weighted_mean(values: Float[Array, " n"], where: Array, empty: float) -> Float[Array, ""]:
    total = jnp.sum(where)
    # Values of the other units may be anything, NaN included.
    mean = jnp.sum(where * jnp.where(where > 0, values, 0.0)) / jnp.where(total > 0, total, 1.0)
    return jnp.where(total > 0, mean, empty)
