"""What features still tell of demographics: held-out predictions by linear and by non-linear probes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from causalrep.confounders.demographics import Layout
from causalrep.effects import KernelRidge, Logistic, Ridge
from causalrep.inference.crossfit import Learner, cross_fit, stratified_folds
from causalrep.metrics import correlations

# Features are many and demographics may be separable: a weak penalty keeps the logistic probe's slopes finite.
LINEAR, LOGISTIC, KERNEL = Ridge(), Logistic(penalty=1e-3), KernelRidge()


class Leakage(NamedTuple):
    """How well features predict each of v demographic variables on rows held out.

    Attributes:
        linear: R^2 by ridge regression, or accuracy by logistic regression (v,).
        nonlinear: The same by kernel ridge regression, of a level's indicator for accuracies (v,).
        chance: 0 for an R^2; the share of the most frequent level for an accuracy (v,).
        max_correlation: Largest absolute correlation of a feature with a variable's coded columns (v,).
    """

    linear: Float[Array, " v"]
    nonlinear: Float[Array, " v"]
    chance: Float[Array, " v"]
    max_correlation: Float[Array, " v"]


def leakage(
    key: Key[Array, ""],
    features: Float[Array, "n k"],
    d: Float[Array, "n c"],
    layout: Layout,
    *,
    n_folds: int = 5,
) -> Leakage:
    """Audit features for demographics; use rows that no part of the features was fitted to.

    Args:
        key: Of the folds.
        features: Latents, or data.
        d: Coded demographics.
        layout: Coded columns of each variable; 1 for a continuous one.
        n_folds: Of the cross-fitting.
    """
    folds = stratified_folds(key, jnp.zeros(len(features), jnp.int32), n_folds)
    found, start = [], 0
    for width in layout:
        block = d[:, start : start + width]
        scores = (_r2, _accuracy)[width > 1]
        linear = scores(LINEAR if width == 1 else LOGISTIC, features, block, folds, n_folds)
        nonlinear = scores(KERNEL, features, block, folds, n_folds)
        chance = jnp.zeros(()) if width == 1 else jnp.max(block.mean(0))
        found.append(Leakage(linear, nonlinear, chance, jnp.max(correlations(block, features))))
        start += width
    return jax.tree.map(lambda *parts: jnp.stack(parts), *found)


def _r2(learner: Learner, x: Array, block: Array, folds: Array, n_folds: int) -> Array:
    y = block[:, 0]
    predicted = cross_fit(learner, x, y, jnp.ones_like(y), folds, n_folds)
    return 1.0 - jnp.sum((y - predicted) ** 2) / jnp.sum((y - y.mean()) ** 2)


def _accuracy(learner: Learner, x: Array, block: Array, folds: Array, n_folds: int) -> Array:
    ones = jnp.ones(len(x), x.dtype)
    # One regression tells two levels apart.
    levels = block.T[1:] if block.shape[1] == 2 else block.T
    scores = jnp.stack([cross_fit(learner, x, level, ones, folds, n_folds) for level in levels], axis=1)
    if block.shape[1] == 2:
        scores = jnp.column_stack([1.0 - scores, scores])
    return jnp.mean((jnp.argmax(scores, axis=1) == jnp.argmax(block, axis=1)).astype(x.dtype))
