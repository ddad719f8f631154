"""Inverse propensity weighting with normalised weights, and standard errors that know the propensity was estimated."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.base.validation import check_range
from causalrep.effects.base import EffectEstimator, check_overlap
from causalrep.effects.checks.overlap import OverlapReport, overlap_report
from causalrep.effects.design import EffectDesign
from causalrep.effects.regressions.linear import Logistic
from causalrep.effects.scores import CLIP, Average, clipped
from causalrep.linalg import pinv_psd_solve


def hajek(
    t: Float[Array, " n"], y: Float[Array, " n"], e: Float[Array, " n"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Average effect and effect on the treated by weights that are normalised within each arm.

    Args:
        t: Treatment, 0 or 1.
        y: Outcome.
        e: Propensities, inside (0, 1).
    """
    treated, untreated, odds = t / e, (1 - t) / (1 - e), (1 - t) * e / (1 - e)
    ate = treated @ y / jnp.sum(treated) - untreated @ y / jnp.sum(untreated)
    return ate, t @ y / jnp.sum(t) - odds @ y / jnp.sum(odds)


@jax.jit
def propensity_model(x: Float[Array, "n d"], t: Float[Array, " n"]) -> tuple[Float[Array, "n p"], Float[Array, " p"]]:
    """Maximum likelihood of a logistic propensity: its design, a column of ones first, and coefficients; p = d + 1."""
    # Standardised, so that the information matrix is well conditioned.
    spread = jnp.std(x, axis=0)
    a = jnp.where(spread > 0, (x - jnp.mean(x, axis=0)) / jnp.where(spread > 0, spread, 1.0), 0.0)
    params = Logistic(penalty=0.0).fit(a, t, jnp.ones_like(t))
    return jnp.column_stack([jnp.ones_like(t), a]), jnp.concatenate([params.intercept[None], params.slopes])


def logistic_ipw(
    x: Float[Array, "n d"], t: Float[Array, " n"], y: Float[Array, " n"], clip: float
) -> tuple[Average, Average, Float[Array, " n"]]:
    """Normalised IPW with a logistic propensity: average effect, effect on the treated, and the propensities.

    The influence function adds to that for known propensities the effect of estimating their coefficients,
    ``(d theta / d b) H^{-1} s_i`` with the score ``s_i`` of the logistic regression and its information H. That makes
    the average effect's standard error smaller (Hirano, Imbens and Ridder 2003), not larger.
    """
    design, b = propensity_model(x, t)

    def averages(coefficients):
        return jnp.stack(hajek(t, y, clipped(jax.nn.sigmoid(design @ coefficients), clip)))

    p = jax.nn.sigmoid(design @ b)
    information = design.T @ ((p * (1 - p))[:, None] * design) / len(t)
    scores = (t - p)[:, None] * design
    values, slopes = averages(b), jax.jacfwd(averages)(b)
    from_propensity = scores @ pinv_psd_solve(information, slopes.T)
    known = _known_influence(t, y, clipped(p, clip))
    found = []
    for j in range(2):
        influence = known[j] + from_propensity[:, j]
        found.append(Average(values[j], jnp.sqrt(jnp.sum(influence**2)) / len(t), influence))
    return found[0], found[1], p


def _known_influence(t, y, e):
    """Influence functions of the normalised estimators at given propensities, for both averages."""

    def arm(weights):
        return weights / jnp.mean(weights) * (y - weights @ y / jnp.sum(weights))

    untreated = (1 - t) / (1 - e)
    return arm(t / e) - arm(untreated), arm(t) - arm(e * untreated)


class IPW(EffectEstimator):
    """Inverse propensity weighting, weights normalised within each arm (Hájek).

    The propensity is logistic, by maximum likelihood, and all rests on it: :class:`AIPW` needs only one of two models
    to be right. The standard errors are those of M-estimation, with the estimation of the propensity accounted for;
    clipping is taken as given.

    Args:
        clip: Propensities are moved into ``[clip, 1 - clip]``.

    Attributes:
        propensity_: Estimated propensities (n,).
    """

    _title = "Inverse propensity weighting (IPW)"

    def __init__(self, *, clip=CLIP):
        self.clip = clip

    def _estimate(self, design: EffectDesign) -> None:
        clip = check_range("clip", self.clip, at_least=0, below=0.5)
        z, t, y = (jnp.asarray(a) for a in (design.z, design.t, design.y))
        ate, att, e = jax.tree.map(np.asarray, logistic_ipw(z, t, y, clip))
        check_overlap(e, design.t, clip)
        self.ate_, self.att_, self.propensity_ = ate, att, e

    def overlap(self) -> OverlapReport:
        """Propensities by arm, effective sample sizes, and who to trim."""
        return overlap_report(self.propensity_, self.design_.t)

    def _balancing_weights(self) -> np.ndarray:
        e, t = np.clip(self.propensity_, self.clip, 1 - self.clip), self.design_.t
        return t / e + (1 - t) / (1 - e)

    def _summary_facts(self) -> list[tuple[str, str]]:
        e = self.propensity_
        outside = np.mean((e < self.clip) | (e > 1 - self.clip))
        shown = f"{e.min():.3g} to {e.max():.3g}, {100 * outside:.1f}% clipped at {self.clip:g}"
        return [*super()._summary_facts(), ("Propensities", shown)]
