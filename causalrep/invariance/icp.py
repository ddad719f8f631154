"""Invariant causal prediction: keep the predictors without which residuals differ between environments.

A set S of predictors is accepted if the residuals of y on x_S have the same mean and variance in every environment as
in the other environments together. The predictors common to all accepted sets are causal with the chosen confidence.
With many predictors not all sets can be tried; :func:`random_subsets` draws them in the order of the IVL paper's
comparison.

Source: Peters, Buehlmann, Meinshausen, "Causal inference by using invariant prediction" (JRSS-B 2016), method II.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc
from jaxtyping import Array, Bool, Float, Int, Key

from causalrep.linalg import spd_solve

MAX_SUBSETS = 1024
MOST_EXTREME = 8
BISECTIONS = 40


class ICPFit(NamedTuple):
    """The outcome of invariant causal prediction.

    Attributes:
        coef: Least-squares coefficients of the parents, zero elsewhere (m,).
        parents: The predictors common to all accepted sets (m,); none if no set was accepted.
        accepted: Number of sets accepted.
        tried: Number of sets tried.
        tested: Number of environments with the two rows that a variance needs. If it is 0, every set is accepted and no
            predictor is common to all of them.
    """

    coef: Float[Array, " m"]
    parents: Bool[Array, " m"]
    accepted: Int[Array, ""]
    tried: Int[Array, ""]
    tested: Int[Array, ""]


def invariant_causal_prediction(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n m"],
    environment: Int[Array, " n"],
    *,
    environments: int,
    level: float = 0.1,
    max_subsets: int = MAX_SUBSETS,
    columns: Bool[Array, " m"] | None = None,
) -> ICPFit:
    """Invariant causal prediction for a linear model without a constant.

    For every set, ``p = 2 min(p_mean, p_variance)`` of residuals inside against outside each environment, by Welch's t
    test and the two-sided F test; the set is accepted if the least p times the number of environments (Bonferroni) is
    above the level. The empty set is not tried.

    Args:
        key: Random key of the order of the sets.
        y: Outcome (n,).
        x: Predictors (n, m), of full rank in the columns in use.
        environment: Labels in 0..environments-1 (n,).
        environments: Number of labels; not all need occur.
        level: Sets with a p-value above this level are accepted.
        max_subsets: Largest number of sets that are tried.
        columns: Columns that are predictors (m,); default all.
    """
    chex.assert_equal_shape([y, environment])
    n, m = x.shape
    usable = jnp.ones(m, bool) if columns is None else columns
    scale = jnp.sqrt(jnp.sum(jnp.square(x), axis=0))
    scaled = jnp.where(usable, x / jnp.where(scale > 0, scale, 1.0), 0.0)
    gram, moment = scaled.T @ scaled, scaled.T @ y

    def least_squares(subset: Bool[Array, " m"]) -> Float[Array, " m"]:
        # Rows and columns outside the set become those of the identity, so that all sets share one shape.
        inside = jnp.outer(subset, subset)
        return spd_solve(jnp.where(inside, gram, jnp.eye(m, dtype=x.dtype)), jnp.where(subset, moment, 0.0))

    counts = jax.ops.segment_sum(jnp.ones(n, x.dtype), environment, environments)
    tail = level / (4.0 * jnp.sum(counts > 0))  # for one side of one of two tests, after Bonferroni
    bounds = _variance_bounds(counts, n, tail)

    def accept(subset: Bool[Array, " m"]) -> Bool[Array, ""]:
        return _invariant(y - scaled @ least_squares(subset), environment, counts, bounds, tail)

    subsets, valid = random_subsets(key, usable, max_subsets)
    accepted = valid & jax.lax.map(accept, subsets, batch_size=128)
    parents = jnp.any(accepted) & jnp.all(subsets | ~accepted[:, None], axis=0) & usable
    coef = least_squares(parents) / jnp.where(scale > 0, scale, 1.0)
    return ICPFit(coef, parents, jnp.sum(accepted), jnp.sum(valid), jnp.sum(counts > 1))


def random_subsets(
    key: Key[Array, ""], usable: Bool[Array, " m"], count: int
) -> tuple[Bool[Array, "count m"], Bool[Array, " count"]]:
    """The first ``count`` non-empty sets of columns: sizes in random order, each size in its lexicographic order.

    The columns are shuffled anew before each size, and the sets of one size are the combinations of the shuffled
    columns in order. With many columns all sets tried may therefore have one size and share most of their members.

    Args:
        key: Random key.
        usable: Columns to draw from (m,).
        count: Number of sets.

    Returns:
        Membership (count, m), and a mask of the rows that hold a set (count,): there may be fewer than ``count``.
    """
    m = usable.shape[0]
    available = jnp.sum(usable)
    size_key, order_key = jax.random.split(key)
    sizes = jnp.arange(1, m + 1)
    sizes = sizes[jnp.argsort(jnp.where(sizes <= available, jax.random.uniform(size_key, (m,)), jnp.inf))]
    number = jnp.asarray(_binomials(m, count))  # capped, since more than count sets of a size are never needed
    per_size = jnp.where(sizes <= available, number[available, sizes], 0)
    ends = jnp.cumsum(jnp.minimum(per_size, count))
    # Set number ``index`` has the size of the block that it falls in; its rank counts the sets of the block before it.
    index = jnp.arange(count)
    block = jnp.minimum(jnp.searchsorted(ends, index, side="right"), m - 1)
    rank, size = index - jnp.where(block > 0, ends[block - 1], 0), sizes[block]
    shuffled = jax.vmap(
        lambda s: jnp.argsort(jnp.where(usable, jax.random.uniform(jax.random.fold_in(order_key, s), (m,)), jnp.inf))
    )(sizes)

    def take(state, position):
        # The combinations with the column at this position come first; there are C(columns after it, size - 1) of them.
        rank, missing = state
        behind = jnp.maximum(available - 1 - position, 0)
        first = jnp.where(missing > 0, number[behind, jnp.maximum(missing - 1, 0)], 0)
        member = (missing > 0) & (rank < first)
        return (jnp.where(member, rank, rank - first), missing - member), member

    _, members = jax.lax.scan(take, (rank, size), jnp.arange(m))
    rows = jnp.zeros((count, m), bool).at[index[:, None], shuffled[block]].set(members.T)
    return rows, index < ends[-1]


def _invariant(
    residuals: Float[Array, " n"],
    environment: Int[Array, " n"],
    counts: Float[Array, " e"],
    bounds: tuple[Float[Array, " e"], Float[Array, " e"]],
    tail: Float[Array, ""],
) -> Bool[Array, ""]:
    """Whether no environment's residuals differ from the others' in mean or variance."""
    environments, n = counts.shape[0], residuals.shape[0]
    # Moments about the overall mean: the sums of squares of the other environments, which are differences, then do not
    # cancel.
    centered = residuals - jnp.mean(residuals)
    total = jax.ops.segment_sum(centered, environment, environments)
    square = jax.ops.segment_sum(jnp.square(centered), environment, environments)
    tested, n_in, n_out = _sizes(counts, n)
    mean_in, mean_out = total / n_in, (jnp.sum(total) - total) / n_out
    spread_in = square - n_in * jnp.square(mean_in)
    spread_out = jnp.sum(square) - square - n_out * jnp.square(mean_out)
    share = spread_in / (spread_in + spread_out)
    same_variance = (share > bounds[0]) & (share < bounds[1])
    error_in, error_out = spread_in / (n_in - 1.0) / n_in, spread_out / (n_out - 1.0) / n_out
    t_squared = jnp.square(mean_in - mean_out) / (error_in + error_out)
    doubt = jnp.square(error_in) / (n_in - 1.0) + jnp.square(error_out) / (n_out - 1.0)
    df = jnp.square(error_in + error_out) / doubt
    # The beta function is expensive, so it is computed only where Wallace's normal approximation (accurate to a
    # thousandth) is most extreme.
    extremeness = jnp.sqrt(df * jnp.log1p(t_squared / df)) * (8.0 * df + 1.0) / (8.0 * df + 3.0)
    _, worst = jax.lax.top_k(jnp.where(tested, extremeness, -1.0), min(MOST_EXTREME, environments))
    df, t_squared = df[worst], t_squared[worst]
    same_mean = betainc(df / 2.0, 0.5, df / (df + t_squared)) > 2.0 * tail
    return jnp.all(same_variance | ~tested) & jnp.all(same_mean | ~tested[worst])


def _variance_bounds(
    counts: Float[Array, " e"], n: int, tail: Float[Array, ""]
) -> tuple[Float[Array, " e"], Float[Array, " e"]]:
    """The bounds between which the inside share of the sum of squares passes the F test, by bisection."""
    _, n_in, n_out = _sizes(counts, n)

    def quantile(probability):
        def halve(_, interval):
            low, high = interval
            middle = (low + high) / 2.0
            below = betainc((n_in - 1.0) / 2.0, (n_out - 1.0) / 2.0, middle) < probability
            return jnp.where(below, middle, low), jnp.where(below, high, middle)

        low, high = jax.lax.fori_loop(0, BISECTIONS, halve, (jnp.zeros_like(n_in), jnp.ones_like(n_in)))
        return (low + high) / 2.0

    return quantile(tail), quantile(1.0 - tail)


def _sizes(counts: Float[Array, " e"], n: int) -> tuple[Bool[Array, " e"], Float[Array, " e"], Float[Array, " e"]]:
    """The environments that can be tested, and the numbers of rows inside and outside (2 for the others)."""
    tested = (counts > 1) & (n - counts > 1)
    return tested, jnp.where(tested, counts, 2.0), jnp.where(tested, n - counts, 2.0)


def _binomials(m: int, cap: int) -> np.ndarray:
    """Pascal's triangle, (m + 1, m + 1), with entries capped at ``cap``."""
    table = np.zeros((m + 1, m + 1), np.int64)
    table[:, 0] = 1
    for row in range(1, m + 1):
        table[row, 1:] = np.minimum(table[row - 1, 1:] + table[row - 1, :-1], cap)
    return table.astype(np.int32)
