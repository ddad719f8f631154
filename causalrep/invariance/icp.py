"""Invariant causal prediction: keep the predictors without which residuals differ between environments.

A set S of predictors is accepted if the residuals of y on x_S have the same mean and variance in every environment as
in all the others; the predictors common to all accepted sets are causal with the chosen confidence. All sets cannot be
tried when there are many predictors: :func:`random_subsets` draws the order of the IVL paper's comparison.

Source: Peters, Buehlmann, Meinshausen, "Causal inference by using invariant prediction" (JRSS-B 2016), method II.
"""

from typing import NamedTuple

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
        coef: Least squares of y on the parents, zero elsewhere (m,).
        parents: The predictors common to all accepted sets (m,); none if no set was accepted.
        accepted: How many of the sets tried were accepted.
        tried: How many sets were tried.
        tested: Environments with the two rows that a variance needs. With none, nothing is rejected, and no predictor
            is common to all sets.
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
        level: Sets with a p-value above it are accepted.
        max_subsets: How many sets are tried at most.
        columns: Which columns are predictors at all (m,); default all.
    """
    n, m = x.shape
    usable = jnp.ones(m, bool) if columns is None else columns
    scale = jnp.sqrt(jnp.sum(jnp.square(x), axis=0))
    scaled = jnp.where(usable, x / jnp.where(scale > 0, scale, 1.0), 0.0)
    gram, moment = scaled.T @ scaled, scaled.T @ y

    def least_squares(subset: Bool[Array, " m"]) -> Float[Array, " m"]:
        # Rows and columns outside the set become the identity's: one shape for all sets.
        inside = jnp.outer(subset, subset)
        return spd_solve(jnp.where(inside, gram, jnp.eye(m, dtype=x.dtype)), jnp.where(subset, moment, 0.0))

    counts = jax.ops.segment_sum(jnp.ones(n, x.dtype), environment, environments)
    tail = level / (4.0 * jnp.sum(counts > 0))  # of one side of one test, after Bonferroni
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

    Before each size the columns are shuffled anew, and the sets of one size follow each other as combinations of the
    shuffled columns: with many columns, all sets tried may have one size and share most of their members.

    Args:
        key: Random key.
        usable: Columns to draw from (m,).
        count: Number of sets.

    Returns:
        Membership (count, m), and which rows are sets (count,): fewer than ``count`` if there are no more.
    """
    m = usable.shape[0]
    available = jnp.sum(usable)
    size_key, order_key = jax.random.split(key)
    sizes = jnp.arange(1, m + 1)
    sizes = sizes[jnp.argsort(jnp.where(sizes <= available, jax.random.uniform(size_key, (m,)), jnp.inf))]
    number = jnp.asarray(_binomials(m, count))  # capped: more than count sets of a size are never needed
    per_size = jnp.where(sizes <= available, number[available, sizes], 0)
    ends = jnp.cumsum(jnp.minimum(per_size, count))
    index = jnp.arange(count)
    block = jnp.minimum(jnp.searchsorted(ends, index, side="right"), m - 1)
    rank, size = index - jnp.where(block > 0, ends[block - 1], 0), sizes[block]
    shuffled = jax.vmap(
        lambda s: jnp.argsort(jnp.where(usable, jax.random.uniform(jax.random.fold_in(order_key, s), (m,)), jnp.inf))
    )(sizes)

    def take(state, position):
        # The combinations with the column at this position come first; there are C(columns behind it, size - 1).
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
    # Moments about the overall mean: sums of squares of the rest are then differences of like size.
    centred = residuals - jnp.mean(residuals)
    total = jax.ops.segment_sum(centred, environment, environments)
    square = jax.ops.segment_sum(jnp.square(centred), environment, environments)
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
    # The beta function is dear: it is computed where Wallace's normal approximation (to a thousandth) is most extreme.
    extremeness = jnp.sqrt(df * jnp.log1p(t_squared / df)) * (8.0 * df + 1.0) / (8.0 * df + 3.0)
    _, worst = jax.lax.top_k(jnp.where(tested, extremeness, -1.0), min(MOST_EXTREME, environments))
    df, t_squared = df[worst], t_squared[worst]
    same_mean = betainc(df / 2.0, 0.5, df / (df + t_squared)) > 2.0 * tail
    return jnp.all(same_variance | ~tested) & jnp.all(same_mean | ~tested[worst])


def _variance_bounds(
    counts: Float[Array, " e"], n: int, tail: Float[Array, ""]
) -> tuple[Float[Array, " e"], Float[Array, " e"]]:
    """Between which values the inside share of the sum of squares passes the F test, by bisection."""
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
    """Which environments can be tested, and the rows inside and outside (2 where they cannot)."""
    tested = (counts > 1) & (n - counts > 1)
    return tested, jnp.where(tested, counts, 2.0), jnp.where(tested, n - counts, 2.0)


def _binomials(m: int, cap: int) -> np.ndarray:
    """Pascal's triangle, (m + 1, m + 1), entries above ``cap`` replaced by it."""
    table = np.zeros((m + 1, m + 1), np.int64)
    table[:, 0] = 1
    for row in range(1, m + 1):
        table[row, 1:] = np.minimum(table[row - 1, 1:] + table[row - 1, :-1], cap)
    return table.astype(np.int32)
