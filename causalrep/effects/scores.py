"""Doubly robust scores: augmented inverse propensity weighting of the average effect and the effect on the treated.

Every estimate here is a mean of scores, and its standard error is their standard deviation over ``sqrt(n)``. With
cross-fitted nuisances the interval is valid if the product of the nuisances' errors vanishes faster than
``1/sqrt(n)``.

Source: Robins, Rotnitzky and Zhao (1994); Chernozhukov et al. (2018), the "interactive regression model".
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.inference.crossfit import Learner, cross_fit, rows_called

CLIP = 0.01


class Nuisances(NamedTuple):
    """Regressions of treatment and outcome, evaluated at each row.

    Attributes:
        propensity: ``e(x) = P(T=1 | x)`` before clipping (n,).
        mu0: ``E[Y | x, T=0]`` (n,).
        mu1: ``E[Y | x, T=1]`` (n,).
    """

    propensity: Float[Array, " n"]
    mu0: Float[Array, " n"]
    mu1: Float[Array, " n"]


class Average(NamedTuple):
    """An average effect.

    Attributes:
        value: The estimate.
        se: Its standard error.
        influence: Estimated influence function: mean zero over the rows used, and ``se = |influence| / n`` (n,).
    """

    value: Float[Array, ""]
    se: Float[Array, ""]
    influence: Float[Array, " n"]


def cross_fit_nuisances(
    outcome: Learner,
    propensity: Learner,
    x: Float[Array, "n d"],
    t: Float[Array, " n"],
    y: Float[Array, " n"],
    w: Float[Array, " n"],
    folds: Int[Array, " n"],
    n_folds: int,
) -> Nuisances:
    """Out-of-fold propensities, and outcome regressions fitted to each arm.

    Args:
        outcome: Regression of the outcome on the covariates, within an arm.
        propensity: Regression of the treatment on the covariates.
        x: Covariates.
        t: Treatment, 0 or 1.
        y: Outcome.
        w: Weights; 0 leaves a row out of all training sets.
        folds: Codes 0..n_folds-1.
        n_folds: Number of folds.
    """
    e = cross_fit(propensity, x, t, w, folds, n_folds)
    with rows_called("in the untreated arm"):
        mu0 = cross_fit(outcome, x, y, w * (1 - t), folds, n_folds)
    with rows_called("in the treated arm"):
        mu1 = cross_fit(outcome, x, y, w * t, folds, n_folds)
    return Nuisances(e, mu0, mu1)


def clipped(propensity: Float[Array, " n"], clip: float = CLIP) -> Float[Array, " n"]:
    """Propensities moved into ``[clip, 1 - clip]``."""
    return jnp.clip(propensity, clip, 1.0 - clip)


def clipped_share(propensity: Float[Array, " n"], w: Float[Array, " n"], clip: float = CLIP) -> Float[Array, ""]:
    """Share of rows (with positive weight) whose propensity lies outside ``[clip, 1 - clip]``."""
    outside = (propensity < clip) | (propensity > 1.0 - clip)
    return jnp.sum((w > 0) * outside) / jnp.sum(w > 0)


def aipw_scores(
    t: Float[Array, " n"], y: Float[Array, " n"], nuisances: Nuisances, clip: float = CLIP
) -> Float[Array, " n"]:
    """Pseudo-outcomes whose mean given x is the effect: ``mu1 - mu0 + T (Y - mu1)/e - (1-T)(Y - mu0)/(1-e)``."""
    e = clipped(nuisances.propensity, clip)
    residual = t * (y - nuisances.mu1) / e - (1 - t) * (y - nuisances.mu0) / (1 - e)
    return nuisances.mu1 - nuisances.mu0 + residual


def aipw_ate(
    t: Float[Array, " n"], y: Float[Array, " n"], w: Float[Array, " n"], nuisances: Nuisances, clip: float = CLIP
) -> Average:
    """Average effect over the rows with weight ``w``."""
    return _average(aipw_scores(t, y, nuisances, clip), w)


def aipw_att(
    t: Float[Array, " n"], y: Float[Array, " n"], w: Float[Array, " n"], nuisances: Nuisances, clip: float = CLIP
) -> Average:
    """Average effect on the treated: ``[T (Y - mu0) - (1-T) e/(1-e) (Y - mu0)] / P(T=1)``."""
    e = clipped(nuisances.propensity, clip)
    share = jnp.sum(w * t) / jnp.sum(w)
    scores = (t - (1 - t) * e / (1 - e)) * (y - nuisances.mu0) / share
    value = jnp.sum(w * scores) / jnp.sum(w)
    # The share of treated is estimated too, which adds -value (t - share) / share to the influence function.
    return _influence(value, scores - value * t / share, w)


def _average(scores: Float[Array, " n"], w: Float[Array, " n"]) -> Average:
    value = jnp.sum(w * scores) / jnp.sum(w)
    return _influence(value, scores - value, w)


def _influence(value: Float[Array, ""], influence: Float[Array, " n"], w: Float[Array, " n"]) -> Average:
    weighted = w * influence / jnp.sum(w) * jnp.sum(w > 0)
    return Average(value, jnp.sqrt(jnp.sum(weighted**2)) / jnp.sum(w > 0), weighted)
