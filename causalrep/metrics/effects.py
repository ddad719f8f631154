"""Scores of treatment-effect estimates against a known truth, or against a randomized subset.

Sources: Hill (2011) for PEHE; Shalit, Johansson and Sontag (2017) for the policy risk and the error on the treated.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Mask = Bool[Array, " n"] | Float[Array, " n"]


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
    return jnp.sqrt(_mean((effect - truth) ** 2, where))


def ate_error(effect: Float[Array, " n"], truth: Float[Array, " n"], where: Mask | None = None) -> Float[Array, ""]:
    """Absolute error of the average effect, ``|mean(tau_hat) - mean(tau)|``."""
    return jnp.abs(_mean(effect, where) - _mean(truth, where))


def randomized_att(
    y: Float[Array, " n"], t: Float[Array, " n"], randomized: Mask, where: Mask | None = None
) -> Float[Array, ""]:
    """Effect on the treated from a randomized subset: mean of the treated minus mean of the *randomized* controls.

    Args:
        y: Outcomes.
        t: Treatments; every treated unit is in the experiment.
        randomized: Units of the experiment (1 or True).
        where: Units to use.
    """
    inside = jnp.ones_like(y) if where is None else jnp.asarray(where, y.dtype)
    return _mean(y, inside * t) - _mean(y, inside * (1 - t) * randomized)


def att_error(
    effect: Float[Array, " n"],
    y: Float[Array, " n"],
    t: Float[Array, " n"],
    randomized: Mask,
    where: Mask | None = None,
) -> Float[Array, ""]:
    """Absolute error of the effect on the treated against :func:`randomized_att` of the same units."""
    inside = jnp.ones_like(y) if where is None else jnp.asarray(where, y.dtype)
    return jnp.abs(randomized_att(y, t, randomized, where) - _mean(effect, inside * t * randomized))


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
    """
    inside = jnp.ones_like(y)
    for mask in (randomized, where):
        inside = inside if mask is None else inside * jnp.asarray(mask, y.dtype)
    treat = (effect > 0).astype(y.dtype)
    share = _mean(treat, inside)
    value = share * _mean(y, inside * treat * t) + (1 - share) * _mean(y, inside * (1 - treat) * (1 - t))
    return 1.0 - value


def coverage(
    low: Float[Array, " n"], high: Float[Array, " n"], truth: Float[Array, " n"], where: Mask | None = None
) -> Float[Array, ""]:
    """Share of true values inside their intervals, ends included."""
    return _mean(((low <= truth) & (truth <= high)).astype(jnp.result_type(float)), where)


def interval_width(low: Float[Array, " n"], high: Float[Array, " n"], where: Mask | None = None) -> Float[Array, ""]:
    """Mean width of intervals."""
    return _mean(high - low, where)


def _mean(values: Float[Array, " n"], where: Mask | None) -> Float[Array, ""]:
    """Mean over the units with positive weight; 0 if there is none."""
    if where is None:
        return jnp.mean(values)
    weights = jnp.asarray(where, values.dtype)
    total = jnp.sum(weights)
    # Values of the other units may be anything, NaN included.
    inside = jnp.where(weights > 0, values, 0.0)
    return jnp.sum(weights * inside) / jnp.where(total > 0, total, 1.0)
