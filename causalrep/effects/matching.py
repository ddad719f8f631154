"""Nearest-neighbor matching with bias correction and the standard errors that matching needs."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from causalrep.base.domains import Choice, Domain, Flag, Whole
from causalrep.base.validation import CONSTANT
from causalrep.effects.base import EffectEstimator
from causalrep.effects.checks.overlap import check_overlap
from causalrep.effects.design import EffectDesign
from causalrep.effects.regressions.linear import LeastSquares
from causalrep.effects.regressions.nonparametric import neighbour_weights
from causalrep.effects.scores import Average
from causalrep.effects.weighting import propensity_model
from causalrep.errors import InputError
from causalrep.linalg import standardized

METRICS = ("mahalanobis", "euclidean")
# Where a propensity lies outside [FAR, 1 - FAR], the nearest unit of the other arm is hardly comparable.
FAR = 0.01
# Rows whose distances to all others are held in memory at once.
_BLOCK = 256


class Matched(NamedTuple):
    """The result of :func:`match`.

    Attributes:
        ate: Average effect.
        att: Average effect on the treated.
        effects: Observed minus imputed outcome of each treated unit, imputed minus observed of each untreated (n,).
        uses: How often each unit served as a match, divided by k (n,).
    """

    ate: Average
    att: Average
    effects: Float[Array, " n"]
    uses: Float[Array, " n"]


def match(
    x: Float[Array, "n d"],
    t: Float[Array, " n"],
    y: Float[Array, " n"],
    *,
    k: int = 1,
    metric: str = "mahalanobis",
    correct_bias: bool = True,
) -> Matched:
    """Impute each unit's missing outcome by the mean of its k nearest units in the other arm, with replacement.

    The bias correction adds ``mu(x_i) - mu(x_j)`` with a least-squares regression of the match's arm (Abadie and
    Imbens 2011). Standard errors are those of Abadie and Imbens (2006, Theorems 6 and 7): the bootstrap is not valid
    for matching. Units that are equally near share the places, as in exact stratification.

    Args:
        x: Covariates.
        t: Treatment, 0 or 1.
        y: Outcome.
        k: Matches per unit.
        metric: ``"mahalanobis"``, or ``"euclidean"`` on standardized columns.
        correct_bias: Adjust for the remaining distance between matches.
    """
    n = y.shape[0]
    scaled = standardized(x)
    if metric == "mahalanobis":
        # A constant column is zero everywhere; with unit variance the correlation matrix stays invertible.
        constant = jnp.all(scaled == 0, axis=0)
        correlation = scaled.T @ scaled / n + jnp.diag(constant.astype(x.dtype))
        # With correlation = L L', the rows L^{-1} z have the Mahalanobis distance as their Euclidean one.
        scaled = solve_triangular(jnp.linalg.cholesky(correlation), scaled.T, lower=True).T
    value, correction = y, jnp.zeros_like(y)
    if correct_bias:
        mu = [LeastSquares().predict(LeastSquares().fit(x, y, arm), x) for arm in (1 - t, t)]
        correction = jnp.where(t == 1, mu[0], mu[1])
        value = y - jnp.where(t == 1, mu[1], mu[0])
    other = _neighbours(scaled, t, value, k, opposite=True)
    effects = (2 * t - 1) * (y - other.mean - correction)
    # Abadie and Imbens (2006): the conditional variance of the outcome, from the k nearest units of the own arm, and
    # how it enters the variance of the averages through the weights w_ij with which a unit j serves others:
    # uses_j = sum_i w_ij, and sum_i w_ij^2, which is uses_j / k without ties.
    own = _neighbours(scaled, t, y, k, opposite=False)
    variance = (y - own.mean) ** 2 / (1 + own.concentration)
    uses = other.uses
    treated = jnp.sum(t)
    ate, att = jnp.mean(effects), jnp.sum(t * effects) / treated
    total_ate = jnp.sum((effects - ate) ** 2 + (uses**2 + 2 * uses - other.squares) * variance)
    total_att = jnp.sum(t * (effects - att) ** 2 + (1 - t) * (uses**2 - other.squares) * variance)
    none = jnp.full(n, jnp.nan, y.dtype)
    return Matched(
        Average(ate, jnp.sqrt(total_ate) / n, none), Average(att, jnp.sqrt(total_att) / treated, none), effects, uses
    )


class _Neighbours(NamedTuple):
    """Sums over the weights w_ij of the neighbors j of each row i; the weights of a row sum to one.

    Attributes:
        mean: Weighted mean of the neighbors' values (n,).
        concentration: ``sum_j w_ij^2`` (n,); 1/k without ties.
        uses: ``sum_i w_ij`` (n,).
        squares: ``sum_i w_ij^2`` (n,).
    """

    mean: Float[Array, " n"]
    concentration: Float[Array, " n"]
    uses: Float[Array, " n"]
    squares: Float[Array, " n"]


def _neighbours(
    x: Float[Array, "n d"], t: Float[Array, " n"], value: Float[Array, " n"], k: int, *, opposite: bool
) -> _Neighbours:
    """The k nearest other rows of the opposite or the own arm, in blocks of rows, so that no n x n matrix is kept."""
    n = len(t)
    lengths = jnp.sum(x**2, axis=1)
    blocks = -(-n // _BLOCK)  # the last one repeats rows, which then count for nothing
    rows = jnp.minimum(jnp.arange(blocks * _BLOCK), n - 1).reshape(blocks, _BLOCK)
    counts = (jnp.arange(blocks * _BLOCK) < n).astype(x.dtype).reshape(blocks, _BLOCK)

    def one(i: Array) -> Array:
        allowed = (t != t[i]) if opposite else (t == t[i]) & (jnp.arange(n) != i)
        # The squared distance without |x_i|^2, which is the same for all candidates.
        return neighbour_weights(jnp.where(allowed, lengths - 2 * (x @ x[i]), jnp.inf), k)

    def block(totals: tuple[Array, Array], index: tuple[Array, Array]) -> tuple[tuple[Array, Array], tuple]:
        weights = jax.vmap(one)(index[0])
        uses, squares = index[1] @ weights, index[1] @ weights**2
        return (totals[0] + uses, totals[1] + squares), (weights @ value, jnp.sum(weights**2, axis=1))

    (uses, squares), (mean, concentration) = jax.lax.scan(block, (jnp.zeros(n), jnp.zeros(n)), (rows, counts))
    return _Neighbours(mean.reshape(-1)[:n], concentration.reshape(-1)[:n], uses, squares)


_match = jax.jit(match, static_argnames=("k", "metric", "correct_bias"))


@jax.jit
def _propensity(x: Float[Array, "n d"], t: Float[Array, " n"]) -> Float[Array, " n"]:
    design, coefficients = propensity_model(x, t)
    return jax.nn.sigmoid(design @ coefficients)


class Matching(EffectEstimator):
    """Nearest-neighbor matching with replacement, bias-corrected, with Abadie and Imbens' standard errors.

    Args:
        k: Matches per unit.
        metric: ``"mahalanobis"`` or ``"euclidean"`` (on standardized covariates).
        correct_bias: Adjust for the remaining distance between matches, by least squares within each arm.

    Attributes:
        effects_: Observed minus imputed outcome of each treated row, imputed minus observed of each untreated (n,).
        uses_: How often each row served as a match, divided by k (n,).
        propensity_: Propensities of a logistic regression (n,), used to check the overlap but not to match.

    Source: Abadie and Imbens (2006), Econometrica 74(1); (2011), JBES 29(1).
    """

    _title = "Nearest-neighbor matching"
    _domains: ClassVar[dict[str, Domain]] = {"k": Whole(), "metric": Choice(*METRICS), "correct_bias": Flag()}

    def __init__(self, k=1, *, metric="mahalanobis", correct_bias=True):
        self.k = k
        self.metric = metric
        self.correct_bias = correct_bias

    def _estimate(self, design: EffectDesign) -> None:
        smaller = int(min(design.t.sum(), (1 - design.t).sum()))
        if self.k >= smaller:
            raise InputError("k", found=repr(self.k), expected=f"a whole number from 1 to {smaller - 1}")
        x, t, y = (jnp.asarray(a) for a in (design.xw, design.t, design.y))
        scaled = np.asarray(standardized(x))
        varying = np.any(scaled != 0, axis=0)
        if self.metric == "mahalanobis" and np.linalg.matrix_rank(scaled, rtol=CONSTANT) < varying.sum():
            raise InputError(
                "X", found="linearly dependent covariates", expected="independent ones, or metric='euclidean'"
            )
        self.propensity_ = np.asarray(_propensity(x, t))
        check_overlap(self.propensity_, design.t, FAR, consequence="and find only distant matches")
        matched = _match(x, t, y, k=int(self.k), metric=self.metric, correct_bias=bool(self.correct_bias))
        self.ate_, self.att_, self.effects_, self.uses_ = jax.tree.map(np.asarray, matched)

    def _balancing_weights(self) -> np.ndarray:
        # Every row stands for itself and for those it was matched to.
        return 1.0 + self.uses_

    def _summary_facts(self) -> list[tuple[str, str]]:
        how = f"{self.k} nearest, {self.metric}{', bias-corrected' if self.correct_bias else ''}"
        most = f"one row serves up to {self.uses_.max() * self.k:g} times"
        return [*super()._summary_facts(), ("Matches", f"{how}; {most}")]
