"""Sandwich covariances of linear estimators: homoskedastic, HC0-HC3, cluster and HAC.

An estimator that solves ``xhat^T (y - X b) = 0`` has covariance ``A^{-1} S A^{-1}`` with bread ``A`` and meat
``S``, the covariance of the sum of the scores ``xhat_i e_i``. Least squares has ``xhat = X``; two-stage least
squares ``xhat = P X``; the residuals ``e = y - X b`` always use the original ``X``. All functions are pure.
"""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Self, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from causalrep.base.checks import is_concrete
from causalrep.base.validation import check_count
from causalrep.errors import InputError
from causalrep.precision import full_products, keep_float64

Kind = Literal["homoskedastic", "HC0", "HC1", "HC2", "HC3", "cluster", "HAC"]
KINDS: tuple[str, ...] = get_args(Kind)
# The kinds defined for moments of any residuals: they need neither leverages nor an order of the rows.
MOMENT_KINDS = ("homoskedastic", "HC0", "HC1", "cluster")


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["clusters"],
    meta_fields=["kind", "debiased", "n_clusters", "bandwidth"],
)
@dataclass(frozen=True)
class Covariance:
    """Which covariance an estimator or a test uses. A pytree: it passes through ``jit`` and ``vmap`` as an argument.

    Attributes:
        kind: ``"homoskedastic"``, ``"HC0"`` to ``"HC3"`` (White; MacKinnon and White 1985), ``"cluster"``
            (Liang and Zeger 1986) or ``"HAC"`` (Newey and West 1987, Bartlett kernel).
        debiased: Whether to apply small-sample factors: ``n/(n-m)`` for homoskedastic and HAC,
            ``G/(G-1) (n-1)/(n-m)`` for cluster, with m coefficients and G clusters. The names of the HC kinds
            already say whether they have one, so they ignore this attribute.
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

    def uncorrected(self) -> Self:
        """The same covariance without small-sample factors; ``"HC1"`` becomes ``"HC0"``."""
        return replace(self, kind="HC0" if self.kind == "HC1" else self.kind, debiased=False)

    def n_groups(self, n: int, dtype: jnp.dtype) -> Float[Array, ""]:
        """The number of clusters that have rows."""
        rows = cluster_sums(jnp.ones(n, dtype), self._codes(), self.n_clusters or n)
        return jnp.sum(rows > 0).astype(dtype)

    def factor(self, n: int, dof: int, dtype: jnp.dtype) -> Float[Array, ""] | float:
        """The small-sample factor, given ``dof`` residual degrees of freedom (n - m)."""
        if self.kind == "HC1" or (self.kind in ("homoskedastic", "HAC") and self.debiased):
            return n / dof
        if self.kind == "cluster" and self.debiased:
            groups = self.n_groups(n, dtype)
            return groups / (groups - 1) * ((n - 1) / dof)
        return 1.0

    def reference_dof(self, n: int, dof: int, dtype: jnp.dtype) -> Float[Array, ""] | int:
        """Degrees of freedom of the t or F reference distribution: G - 1 with clusters, otherwise ``dof``."""
        return self.n_groups(n, dtype) - 1 if self.kind == "cluster" else dof

    def sums(self, scores: Float[Array, "n m"]) -> Float[Array, "g m"]:
        """The independent parts of the score sum: its cluster sums, or the scores themselves."""
        if self.kind != "cluster":
            return scores
        return cluster_sums(scores, self._codes(), self.n_clusters or len(scores))

    def _codes(self) -> Int[Array, " n"]:
        if self.clusters is None:
            raise InputError("clusters", found="none", expected="integer codes (n,) when covariance='cluster'")
        return self.clusters


@keep_float64
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
    n, m = _shape(xhat, residuals)
    if covariance.kind == "homoskedastic":
        s2 = jnp.sum(residuals**2) / (n - m if covariance.debiased else n)
        return s2 * _symmetric(jnp.linalg.solve(bread, jnp.eye(m, dtype=xhat.dtype)))
    half = jnp.linalg.solve(bread, meat(xhat, residuals, covariance, lag_series=lag_series))
    result = _symmetric(jnp.linalg.solve(bread, half.T))
    return without_own_residual(result, jnp.linalg.solve(bread, xhat.T).T, xhat, covariance)


@keep_float64
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
    m). A row with leverage one is fitted exactly: it adds nothing, see :func:`without_own_residual`.
    """
    covariance = Covariance.of(covariance)
    n, m = _shape(xhat, residuals)
    if covariance.kind == "homoskedastic":
        s2 = jnp.sum(residuals**2) / (n - m if covariance.debiased else n)
        return s2 * (xhat.T @ xhat)
    scores = xhat * residuals[:, None]
    if covariance.kind in ("HC2", "HC3"):
        h = leverages(xhat)
        exact = fitted_exactly(h)
        remaining = jnp.where(exact, 1.0, 1.0 - h)
        scores = (
            jnp.where(exact, 0.0, 1 / (jnp.sqrt(remaining) if covariance.kind == "HC2" else remaining))[:, None]
            * scores
        )
    return score_meat(scores, covariance, n - m, lag_series=lag_series)


@full_products
def score_meat(
    scores: Float[Array, "n m"],
    covariance: Covariance,
    dof: int,
    *,
    lag_series: Float[Array, " n"] | None = None,
) -> Float[Array, "m m"]:
    """Estimated covariance of the sum of given scores, for every kind but the homoskedastic.

    Args:
        scores: One row per observation, already divided by its leverage for HC2 and HC3.
        covariance: Which covariance.
        dof: Residual degrees of freedom, for the small-sample factor.
        lag_series: As in :func:`sandwich_covariance`.
    """
    n, kind = len(scores), covariance.kind
    if kind == "HAC":
        bandwidth = covariance.bandwidth
        if bandwidth is not None:
            check_count("bandwidth", bandwidth, at_least=0)
        if bandwidth is None:
            bandwidth = automatic_bandwidth(jnp.sum(scores, axis=1) if lag_series is None else lag_series)
        total = bartlett_meat(scores, bandwidth)
    elif kind in KINDS[1:]:
        parts = covariance.sums(scores)
        total = parts.T @ parts
    else:
        raise InputError("covariance", found=repr(kind), expected=f"one of {KINDS}")
    return total * covariance.factor(n, dof, scores.dtype)


def fitted_exactly(h: Float[Array, " n"]) -> Bool[Array, " n"]:
    """Which rows have leverage one, up to rounding: a dummy of one row, for instance."""
    return h > 1.0 - 1e4 * jnp.finfo(h.dtype).eps


def without_own_residual(
    covariance: Float[Array, "m m"], weights: Float[Array, "n m"], xhat: Float[Array, "n m"], kind: Covariance
) -> Float[Array, "m m"]:
    """NaN for coefficients that HC2 and HC3 cannot judge: those to which a row with leverage one contributes.

    Such a row is fitted exactly whatever its error, so nothing tells its variance. The other coefficients do not depend
    on its outcome, and their variances stand.

    Args:
        covariance: Covariance of the coefficients.
        weights: The weight of each outcome in each coefficient.
        xhat: The rows whose leverages count.
        kind: Which covariance; others than HC2 and HC3 are returned as they are.
    """
    if kind.kind not in ("HC2", "HC3"):
        return covariance
    own = jnp.abs(weights) * fitted_exactly(leverages(xhat))[:, None]
    unknown = jnp.max(own, axis=0) > 1e-6 * jnp.linalg.norm(weights, axis=0)
    return jnp.where(unknown[:, None] | unknown, jnp.nan, covariance)


def leverages(xhat: Float[Array, "n m"]) -> Float[Array, " n"]:
    """Diagonal of the projection on the columns of ``xhat`` (full column rank)."""
    return jnp.sum(jnp.linalg.qr(xhat)[0] ** 2, axis=1)


def cluster_sums(values: Float[Array, "n *m"], clusters: Int[Array, " n"], n_clusters: int) -> Float[Array, "g *m"]:
    """Sums of ``values`` within each cluster.

    Raises:
        InputError: If (unless traced) a code is negative or too large: JAX would count -1 to the last cluster.
    """
    if is_concrete(clusters):
        codes = np.asarray(clusters)
        if codes.size and (codes.min() < 0 or codes.max() >= n_clusters):
            found = f"codes from {codes.min()} to {codes.max()}"
            raise InputError("clusters", found=found, expected=f"codes from 0 to {n_clusters - 1}, none missing")
    return jax.ops.segment_sum(values, clusters, num_segments=n_clusters)


def bartlett_meat(scores: Float[Array, "n m"], bandwidth: int | Int[Array, ""]) -> Float[Array, "m m"]:
    """Long-run covariance of the score sum, with Bartlett weights ``1 - j/(L+1)`` on lags j = 1..L; rows in time order.

    ``S = G_0 + sum_j (1 - j/(L+1)) (G_j + G_j^T)`` with ``G_j = sum_i s_i s_{i-j}^T``.
    """
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
    """Bartlett bandwidth of Newey and West (1994) for one series of scores, at most n - 1.

    ``L = ceil(1.1447 ((s_1 / s_0)^2 n)^{1/3})``, with ``s_0`` and ``s_1`` estimated from a pilot number of lags,
    ``ceil(4 (n / 100)^{2/9})``.
    """
    n = series.shape[0]
    pilot = math.ceil(4 * (n / 100) ** (2 / 9))
    gamma = jnp.stack([series[j:] @ series[: n - j] / n for j in range(min(pilot, n - 1) + 1)])
    lag = jnp.arange(1, gamma.shape[0])
    s0 = gamma[0] + 2 * jnp.sum(gamma[1:])
    s1 = 2 * jnp.sum(lag * gamma[1:])
    optimum = 1.1447 * jnp.cbrt((s1 / s0) ** 2 * n)
    return jnp.minimum(jnp.ceil(optimum), n - 1).astype(jnp.int32)


def _shape(xhat: Float[Array, "n m"], residuals: Float[Array, " n"]) -> tuple[int, int]:
    """Rows and coefficients; residuals of another shape would be broadcast, or lose their denominator n - m."""
    if xhat.ndim != 2 or residuals.shape != xhat.shape[:1]:
        raise InputError("residuals", found=f"shape {residuals.shape}", expected=f"one per row of {xhat.shape}")
    n, m = xhat.shape
    if n <= m:
        raise InputError("xhat", found=f"{n} rows and {m} columns", expected="more rows than columns")
    return n, m


def _symmetric(a: Float[Array, "m m"]) -> Float[Array, "m m"]:
    return (a + a.T) / 2
