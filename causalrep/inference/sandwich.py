"""Sandwich covariances of linear estimators: homoskedastic, HC0-HC3, cluster and HAC.

An estimator that solves ``xhat^T (y - X b) = 0`` has covariance ``A^{-1} S A^{-1}`` with bread ``A`` and meat
``S`` the covariance of the scores ``xhat_i e_i``. Least squares has ``xhat = X``; two-stage least squares
``xhat = P X``; the residuals ``e = y - X b`` always use the original ``X``. Everything is a pure function of
arrays.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from causalrep.precision import full_products

Kind = Literal["homoskedastic", "HC0", "HC1", "HC2", "HC3", "cluster", "HAC"]
KINDS: tuple[str, ...] = get_args(Kind)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["clusters"],
    meta_fields=["kind", "debiased", "n_clusters", "bandwidth"],
)
@dataclass(frozen=True)
class Covariance:
    """Which covariance an estimator reports. A pytree: it passes through ``jit`` and ``vmap`` as an argument.

    Attributes:
        kind: ``"homoskedastic"``, ``"HC0"`` to ``"HC3"`` (White; MacKinnon and White 1985), ``"cluster"``
            (Liang and Zeger 1986) or ``"HAC"`` (Newey and West 1987, Bartlett kernel).
        debiased: Small-sample factors: ``n/(n-m)`` for homoskedastic and HAC, ``G/(G-1) (n-1)/(n-m)`` for
            cluster, with m coefficients and G clusters. The HC kinds are explicit about theirs and ignore
            this.
        clusters: Group codes 0..G-1 (n,), for ``"cluster"``.
        n_clusters: A static upper bound on the number of groups; n if None. Codes without rows do not count.
        bandwidth: Number of lags for ``"HAC"``; None selects it from the data (Newey and West 1994).
    """

    kind: str = "homoskedastic"
    debiased: bool = True
    clusters: Int[Array, " n"] | None = None
    n_clusters: int | None = None
    bandwidth: int | None = None

    @classmethod
    def of(cls, value: "Covariance | str") -> "Covariance":
        """A ``Covariance`` from itself or from its kind."""
        return value if isinstance(value, Covariance) else cls(kind=value)


@full_products
def sandwich_covariance(
    xhat: Float[Array, "n m"],
    residuals: Float[Array, " n"],
    bread: Float[Array, "m m"],
    covariance: Covariance | str = "homoskedastic",
    *,
    lag_series: Float[Array, " n"] | None = None,
) -> Float[Array, "m m"]:
    """Covariance of the coefficients, ``A^{-1} S A^{-1}``.

    Args:
        xhat: The rows that multiply the residuals in the estimating equation.
        residuals: ``y - X b`` with the original regressors.
        bread: ``A``, symmetric; ``xhat^T X`` for least squares and two-stage least squares.
        covariance: Which covariance.
        lag_series: The series from which an automatic HAC bandwidth is chosen; the row sums of the scores if
            None.

    Returns:
        Symmetric (m, m) covariance. The homoskedastic one is ``s^2 A^{-1}``.
    """
    covariance = Covariance.of(covariance)
    n, m = xhat.shape
    if covariance.kind == "homoskedastic":
        s2 = jnp.sum(residuals**2) / (n - m if covariance.debiased else n)
        return s2 * _symmetric(jnp.linalg.solve(bread, jnp.eye(m, dtype=xhat.dtype)))
    half = jnp.linalg.solve(bread, meat(xhat, residuals, covariance, lag_series=lag_series))
    return _symmetric(jnp.linalg.solve(bread, half.T))


@full_products
def meat(
    xhat: Float[Array, "n m"],
    residuals: Float[Array, " n"],
    covariance: Covariance | str,
    *,
    lag_series: Float[Array, " n"] | None = None,
) -> Float[Array, "m m"]:
    """Estimated covariance of the score sum ``sum_i xhat_i e_i``, with the small-sample factors of its kind.

    HC2 and HC3 divide the residuals by ``(1-h_i)^{1/2}`` and ``1-h_i`` with ``h_i`` the leverage of row i in
    the projection on the columns of ``xhat``: the usual leverage for least squares, the second-stage leverage
    for instrumental variables (where there is no single convention; this one has ``0 <= h_i <= 1`` and trace
    m).
    """
    covariance = Covariance.of(covariance)
    n, m = xhat.shape
    kind = covariance.kind
    scores = xhat * residuals[:, None]
    if kind == "homoskedastic":
        s2 = jnp.sum(residuals**2) / (n - m if covariance.debiased else n)
        return s2 * (xhat.T @ xhat)
    if kind == "HC0":
        return scores.T @ scores
    if kind == "HC1":
        return scores.T @ scores * (n / (n - m))
    if kind in ("HC2", "HC3"):
        remaining = (1.0 - leverages(xhat))[:, None]
        scores = scores / (jnp.sqrt(remaining) if kind == "HC2" else remaining)
        return scores.T @ scores
    if kind == "cluster":
        return _cluster_meat(scores, covariance)
    if kind == "HAC":
        bandwidth = covariance.bandwidth
        if bandwidth is None:
            bandwidth = automatic_bandwidth(jnp.sum(scores, axis=1) if lag_series is None else lag_series)
        factor = n / (n - m) if covariance.debiased else 1.0
        return factor * bartlett_meat(scores, bandwidth)
    raise ValueError(f"unknown covariance kind {kind!r}; expected one of {KINDS}")


def leverages(xhat: Float[Array, "n m"]) -> Float[Array, " n"]:
    """Diagonal of the projection on the columns of ``xhat`` (full column rank)."""
    return jnp.sum(jnp.linalg.qr(xhat)[0] ** 2, axis=1)


def cluster_sums(values: Float[Array, "n *m"], clusters: Int[Array, " n"], n_clusters: int) -> Float[Array, "g *m"]:
    """Sums of ``values`` within each cluster."""
    return jax.ops.segment_sum(values, clusters, num_segments=n_clusters)


def bartlett_meat(scores: Float[Array, "n m"], bandwidth: int | Int[Array, ""]) -> Float[Array, "m m"]:
    """Long-run covariance sum, Bartlett weights ``1 - j/(L+1)`` on lags j = 1..L; rows in time order."""
    n = scores.shape[0]
    row = jnp.arange(n)[:, None]

    def add_lag(j, total):
        # A roll keeps the shape static while the lag is a loop variable; the wrapped rows are masked out.
        lagged = jnp.where(row >= j, jnp.roll(scores, j, axis=0), 0.0)
        gamma = scores.T @ lagged
        weight = 1.0 - j / (bandwidth + 1.0)
        return total + weight.astype(scores.dtype) * (gamma + gamma.T)

    return jax.lax.fori_loop(1, bandwidth + 1, add_lag, scores.T @ scores)


def automatic_bandwidth(series: Float[Array, " n"]) -> Int[Array, ""]:
    """Bartlett bandwidth of Newey and West (1994) for one series of scores, at most n - 1."""
    n = series.shape[0]
    pilot = int(-(-4 * (n / 100) ** (2 / 9) // 1))
    gamma = jnp.stack([series[j:] @ series[: n - j] / n for j in range(min(pilot, n - 1) + 1)])
    lag = jnp.arange(1, gamma.shape[0])
    s0 = gamma[0] + 2 * jnp.sum(gamma[1:])
    s1 = 2 * jnp.sum(lag * gamma[1:])
    optimum = 1.1447 * jnp.cbrt((s1 / s0) ** 2 * n)
    return jnp.minimum(jnp.ceil(optimum), n - 1).astype(jnp.int32)


def _cluster_meat(scores: Float[Array, "n m"], covariance: Covariance) -> Float[Array, "m m"]:
    if covariance.clusters is None:
        raise ValueError("covariance 'cluster' needs clusters: integer codes (n,)")
    n, m = scores.shape
    bound = covariance.n_clusters or n
    sums = cluster_sums(scores, covariance.clusters, bound)
    total = sums.T @ sums
    if not covariance.debiased:
        return total
    occupied = cluster_sums(jnp.ones(n, scores.dtype), covariance.clusters, bound) > 0
    groups = jnp.sum(occupied).astype(scores.dtype)
    return total * (groups / (groups - 1) * ((n - 1) / (n - m)))


def _symmetric(a: Float[Array, "m m"]) -> Float[Array, "m m"]:
    return (a + a.T) / 2
