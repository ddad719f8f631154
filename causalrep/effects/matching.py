"""Nearest-neighbor matching with bias correction and the standard errors that matching needs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int

from causalrep.base.validation import check_choice, check_count
from causalrep.effects.base import EffectEstimator
from causalrep.effects.checks.overlap import check_overlap
from causalrep.effects.design import EffectDesign
from causalrep.effects.regressions.linear import LeastSquares
from causalrep.effects.regressions.nonparametric import nearest
from causalrep.effects.scores import Average
from causalrep.effects.weighting import propensity_model, standardized
from causalrep.errors import InputError

METRICS = ("mahalanobis", "euclidean")
# Where a propensity lies outside [FAR, 1 - FAR], the nearest unit of the other arm is hardly comparable.
FAR = 0.01


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
    for matching. Equally near units are taken in the order of the rows.

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
    other = _nearest(scaled, t, k, opposite=True)
    matched = y[other]
    if correct_bias:
        mu = [LeastSquares().predict(LeastSquares().fit(x, y, arm), x) for arm in (1 - t, t)]
        opposite_mu = jnp.where(t == 1, mu[0], mu[1])
        own_mu = jnp.where(t == 1, mu[1], mu[0])
        matched = matched + opposite_mu[:, None] - own_mu[other]
    effects = (2 * t - 1) * (y - jnp.mean(matched, axis=1))
    uses = jnp.zeros(n, y.dtype).at[other.ravel()].add(1.0 / k)
    # Abadie and Imbens (2006): the conditional variance of the outcome, from the k nearest units of the own arm, and
    # how it enters the variance of the averages through the number of times K_i that a unit is used, uses = K_i / k.
    own = _nearest(scaled, t, k, opposite=False)
    variance = k / (k + 1) * (y - jnp.mean(y[own], axis=1)) ** 2
    treated = jnp.sum(t)
    ate, att = jnp.mean(effects), jnp.sum(t * effects) / treated
    total_ate = jnp.sum((effects - ate) ** 2 + (uses**2 + 2 * uses - uses / k) * variance)
    total_att = jnp.sum(t * (effects - att) ** 2 + (1 - t) * (uses**2 - uses / k) * variance)
    none = jnp.full(n, jnp.nan, y.dtype)
    return Matched(
        Average(ate, jnp.sqrt(total_ate) / n, none), Average(att, jnp.sqrt(total_att) / treated, none), effects, uses
    )


def _nearest(x: Float[Array, "n d"], t: Float[Array, " n"], k: int, *, opposite: bool) -> Int[Array, "n k"]:
    """The k nearest other rows of the opposite or the own arm; row by row, so that no n x n matrix is kept."""
    lengths = jnp.sum(x**2, axis=1)
    rows = jnp.arange(x.shape[0])

    def one(i):
        allowed = (t != t[i]) if opposite else (t == t[i]) & (rows != i)
        # The squared distance without |x_i|^2, which is the same for all candidates.
        distance = lengths - 2 * (x @ x[i])
        # Rounding must not order units that are equally near.
        return nearest(jnp.where(allowed, jnp.round(distance, 10), jnp.inf), k)

    return jax.lax.map(one, rows, batch_size=256)


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

    def __init__(self, k=1, *, metric="mahalanobis", correct_bias=True):
        self.k = k
        self.metric = metric
        self.correct_bias = correct_bias

    def _check_hyperparameters(self) -> None:
        check_choice("metric", self.metric, METRICS)
        check_count("k", self.k)

    def _estimate(self, design: EffectDesign) -> None:
        smaller = int(min(design.t.sum(), (1 - design.t).sum()))
        if self.k >= smaller:
            raise InputError("k", found=repr(self.k), expected=f"a whole number from 1 to {smaller - 1}")
        x, t, y = (jnp.asarray(a) for a in (design.xw, design.t, design.y))
        rank = np.linalg.matrix_rank(design.xw - design.xw.mean(axis=0))
        if self.metric == "mahalanobis" and rank < np.sum(np.ptp(design.xw, axis=0) > 0):
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
