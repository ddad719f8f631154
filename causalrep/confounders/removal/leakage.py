"""Leakage: how well linear and non-linear probes predict demographics from features, on rows held out."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from causalrep.confounders.removal.demographics import Layout
from causalrep.effects import KernelRidge, Logistic, Ridge
from causalrep.inference.crossfit import Learner, cross_fit, stratified_folds
from causalrep.metrics import correlations

# With many features demographics may be separable: a weak penalty keeps the slopes of the logistic probe finite.
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
    """Audit features for demographics, on rows to which no part of the features was fitted.

    Args:
        key: Random key of the folds.
        features: Latents, or data.
        d: Coded demographics.
        layout: Coded columns of each variable; 1 for a continuous one.
        n_folds: Number of folds of the cross-fitting.
    """
    folds = stratified_folds(key, jnp.zeros(len(features), jnp.int32), n_folds)
    starts = [sum(layout[:v]) for v in range(len(layout))]
    # For two levels one regression is enough, that of the second indicator.
    targets = [[a] if w == 1 else [a + 1] if w == 2 else list(range(a, a + w)) for a, w in zip(starts, layout)]
    continuous = [j for columns, w in zip(targets, layout) for j in columns if w == 1]
    levels = [j for columns, w in zip(targets, layout) for j in columns if w > 1]

    def predicted(learner: Learner, columns: list[int]) -> dict[int, Array]:
        if not columns:
            return {}
        ones = jnp.ones(len(features), features.dtype)
        # One target after another: a single compiled program serves all of them.
        outputs = jax.lax.map(
            lambda y: cross_fit(learner, features, y, ones, folds, n_folds), d[:, jnp.array(columns)].T
        )
        return dict(zip(columns, outputs))

    linear = predicted(LINEAR, continuous) | predicted(LOGISTIC, levels)
    kernel = predicted(KERNEL, continuous + levels)
    audits = []
    for start, width, columns in zip(starts, layout, targets):
        block = d[:, start : start + width]
        by_line, by_kernel = (_score(block, jnp.stack([p[j] for j in columns], axis=1)) for p in (linear, kernel))
        chance = jnp.zeros(()) if width == 1 else jnp.max(block.mean(0))
        audits.append(Leakage(by_line, by_kernel, chance, jnp.max(correlations(block, features))))
    return jax.tree.map(lambda *parts: jnp.stack(parts), *audits)


def _score(block: Float[Array, "n w"], predicted: Float[Array, "n c"]) -> Float[Array, ""]:
    """R^2 of a continuous variable; accuracy of the level with the largest prediction."""
    if block.shape[1] == 1:
        return 1.0 - jnp.sum((block - predicted) ** 2) / jnp.sum((block - block.mean()) ** 2)
    if block.shape[1] == 2:
        predicted = jnp.column_stack([1.0 - predicted, predicted])
    return jnp.mean((jnp.argmax(predicted, axis=1) == jnp.argmax(block, axis=1)).astype(block.dtype))
