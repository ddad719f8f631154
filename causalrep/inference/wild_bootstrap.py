"""Wild cluster bootstrap for OLS and 2SLS: inference that holds with few clusters.

Cameron, Gelbach and Miller (2008) for least squares (restricted, "WCR"); Davidson and MacKinnon (2010) for
instruments (restricted efficient residuals, "WRE"). Least squares is the case in which the treatments
instrument for themselves.

Every bootstrap sample multiplies the restricted residuals of a whole cluster by one random weight, so all a
sample needs are cluster-level sums of products with an orthonormal basis of ``[c z]``: a draw costs
O(G (q + k)^2), independently of n.
"""

from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int, PRNGKeyArray

from causalrep.base.validation import check_choice, check_count
from causalrep.inference.sandwich import cluster_sums
from causalrep.precision import keep_float64

Weights = Literal["rademacher", "webb"]


class WildBootstrap(NamedTuple):
    """A wild cluster bootstrap test; a pytree.

    Attributes:
        statistic: The observed cluster-robust t statistic of the null (with the usual small-sample factor).
        p_value: Share of draws with ``|t*| >= |t|``; NaN with the statistic, if the null leaves no residuals.
        draws: The bootstrap t statistics (draws,).
    """

    statistic: Float[Array, ""]
    p_value: Float[Array, ""]
    draws: Float[Array, " draws"]


class _ClusterProducts(NamedTuple):
    """Cluster-level sums from which a draw is computed; r = q + k, g clusters, p treatments."""

    gram: Float[Array, "g r r"]  # U_g^T U_g
    scores: Float[Array, "g r"]  # U_g^T e_g, e the restricted residuals
    first_stage: Float[Array, "g r p"]  # U_g^T v_g, v the first-stage residuals
    fitted: Float[Array, "r p"]  # coordinates of the part of x that is not resampled


@keep_float64
def wild_cluster_bootstrap(
    key: PRNGKeyArray,
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"] | None,
    c: Float[Array, "n q"] | None,
    clusters: Int[Array, " n"],
    n_clusters: int,
    *,
    null: float | Float[Array, ""] = 0.0,
    index: int = 0,
    draws: int = 999,
    weights: Weights = "rademacher",
) -> WildBootstrap:
    """Test ``b[index] = null`` with residuals that impose it; a pure function of its key.

    Args:
        key: Random key of the cluster weights.
        y: Outcome.
        x: Treatments.
        z: Excluded instruments (2SLS), or None (OLS).
        c: Controls with the constant, or None.
        clusters: Group codes 0..G-1.
        n_clusters: G.
        null: Hypothesized value.
        index: Position of the treatment.
        draws: Number of bootstrap samples; (draws + 1) alpha should be a whole number.
        weights: ``"rademacher"`` (-1, 1), or Webb's six points for fewer than about ten clusters, where
            Rademacher has only 2^(G-1) distinct values of ``|t*|``.
    """
    w = cluster_weights(key, draws, n_clusters, weights, y.dtype)
    return _test(w, y, x, z, c, clusters, n_clusters, null, index)


@keep_float64
def wild_cluster_interval(
    key: PRNGKeyArray,
    y: Float[Array, " n"],
    x: Float[Array, "n p"],
    z: Float[Array, "n k"] | None,
    c: Float[Array, "n q"] | None,
    clusters: Int[Array, " n"],
    n_clusters: int,
    *,
    estimate: Float[Array, ""],
    stderr: Float[Array, ""],
    alpha: float = 0.05,
    index: int = 0,
    draws: int = 999,
    weights: Weights = "rademacher",
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Interval of nulls around the estimate that the test accepts, by bisection of the p-value.

    The same weights serve every null, so the p-value is a deterministic step function of it. An end is
    infinite if no null within 2^12 standard errors is rejected.

    Args:
        key: As in :func:`wild_cluster_bootstrap`, also for the arguments not listed.
        y: Outcome.
        x: Treatments.
        z: Instruments or None.
        c: Controls or None.
        clusters: Group codes.
        n_clusters: G.
        estimate: Point estimate of ``b[index]``.
        stderr: Standard error of the estimate, the scale of the search.
        alpha: 1 - level.
        index: Position of the treatment.
        draws: Number of bootstrap samples.
        weights: Distribution of the cluster weights.
    """
    w = cluster_weights(key, draws, n_clusters, weights, y.dtype)

    def accepted(null):
        return _test(w, y, x, z, c, clusters, n_clusters, null, index).p_value > alpha

    def end(sign):
        def widen(state):
            width, _ = state
            return 2 * width, accepted(estimate + sign * 2 * width * stderr)

        start = (jnp.ones((), y.dtype), accepted(estimate + sign * stderr))
        outer, still = jax.lax.while_loop(lambda s: s[1] & (s[0] < 2.0**12), widen, start)

        def halve(_, bounds):
            low, high = bounds
            middle = (low + high) / 2
            ok = accepted(estimate + sign * middle * stderr)
            return jnp.where(ok, middle, low), jnp.where(ok, high, middle)

        inner = jnp.where(outer > 1, outer / 2, 0.0)
        low, _ = jax.lax.fori_loop(0, 30, halve, (inner, outer))
        return jnp.where(still, sign * jnp.inf, estimate + sign * low * stderr)

    return end(-1.0), end(1.0)


def cluster_weights(
    key: PRNGKeyArray, draws: int, n_clusters: int, weights: Weights, dtype=jnp.float64
) -> Float[Array, "draws g"]:
    """Independent weights with mean 0 and variance 1: ``"rademacher"`` or Webb's ``"webb"``."""
    check_choice("weights", weights, get_args(Weights))
    check_count("draws", draws)
    check_count("n_clusters", n_clusters, at_least=2)
    points = [-1.0, 1.0]
    if weights == "webb":
        points = [-(1.5**0.5), -1.0, -(0.5**0.5), 0.5**0.5, 1.0, 1.5**0.5]
    return jax.random.choice(key, jnp.asarray(points, dtype), (draws, n_clusters))


def _test(w, y, x, z, c, clusters, n_clusters, null, index) -> WildBootstrap:
    q = 0 if c is None else c.shape[1]
    z = x if z is None else z
    products = _products(y, x, z, c, clusters, n_clusters, null, index)
    # Weights of one reproduce the sample itself, so the observed statistic is the same function.
    observed = _t_statistic(products, jnp.ones(n_clusters, y.dtype), q, index)
    starred = jax.vmap(lambda row: _t_statistic(products, row, q, index))(w)
    # If all weights are equal, t* = +-t in exact arithmetic: rounding must not decide such ties.
    tie = 1.0 - 1e3 * jnp.finfo(y.dtype).eps
    p_value = jnp.mean((jnp.abs(starred) >= tie * jnp.abs(observed)).astype(y.dtype))
    # No residuals but rounding: the statistic is a ratio of rounding errors, or 0 / 0.
    left = jnp.max(jnp.abs(products.scores))
    size = jnp.max(jnp.abs(y)) + jnp.abs(null) * jnp.max(jnp.abs(x[:, index]))
    known = jnp.isfinite(observed) & (left > 64 * jnp.finfo(y.dtype).eps * size)
    observed, p_value = (jnp.where(known, value, jnp.nan) for value in (observed, p_value))
    n, m = y.shape[0], x.shape[1] + q
    scale = jnp.sqrt((n_clusters - 1) / n_clusters * (n - m) / (n - 1))
    return WildBootstrap(observed * scale, p_value, starred * scale)


def _products(y, x, z, c, clusters, n_clusters, null, index) -> _ClusterProducts:
    basis = jnp.linalg.qr(z if c is None else jnp.column_stack([c, z]))[0]
    outcome = y - null * x[:, index]
    # Restricted 2SLS of y - null x_j on the other treatments and the controls.
    regressors = jnp.delete(x, index, axis=1)
    if c is not None:
        regressors = jnp.column_stack([regressors, c])
    residuals = outcome
    if regressors.shape[1]:
        projected, triangle = jnp.linalg.qr(basis.T @ regressors)
        residuals = outcome - regressors @ solve_triangular(triangle, projected.T @ (basis.T @ outcome))
    # Efficient first stage: x on [c z] and the residuals e. v is x less the part that [c z] explains in it.
    on = basis.T @ residuals
    off = residuals - basis @ on
    slope = (off @ x) / jnp.sum(off**2)
    x_on = basis.T @ x
    v = (x - basis @ x_on) + jnp.outer(basis @ on, slope)

    def by_cluster(values):
        return cluster_sums(values, clusters, n_clusters)

    def gram_column(column):
        return by_cluster(basis * column[:, None])

    # Columns one at a time: n x r numbers in memory at once, not n x r x r.
    gram = jnp.moveaxis(jax.lax.map(gram_column, basis.T), 0, 2)
    return _ClusterProducts(
        gram=gram,
        scores=by_cluster(basis * residuals[:, None]),
        first_stage=jnp.stack([by_cluster(basis * v[:, j : j + 1]) for j in range(x.shape[1])], axis=2),
        fitted=x_on - basis.T @ v,
    )


def _t_statistic(products: _ClusterProducts, w: Float[Array, " g"], q: int, index: int) -> Float[Array, ""]:
    """Cluster t of the sample with residuals ``w_g e_g`` and ``w_g v_g``, without small-sample factor."""
    gram, a, b, fitted = products
    x_on = fitted + jnp.einsum("g,grp->rp", w, b)
    e_on = w @ a
    basis, triangle = jnp.linalg.qr(x_on[q:])
    delta = solve_triangular(triangle, basis.T @ e_on[q:])
    # Scores of each cluster at the starred estimate, then without the controls: U_g^T (e*_g - x*_g delta).
    moments = w[:, None] * a - (gram @ fitted + w[:, None, None] * b) @ delta
    moments = moments - gram[:, :, :q] @ (e_on[:q] - x_on[:q] @ delta)
    influence = solve_triangular(triangle, basis.T @ moments[:, q:].T)[index]
    return delta[index] / jnp.sqrt(jnp.sum(influence**2))
