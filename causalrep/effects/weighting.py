"""Inverse propensity weighting with normalized weights; its standard errors account for the estimated propensity."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from causalrep.base.domains import Domain, Real
from causalrep.effects.base import EffectEstimator
from causalrep.effects.checks.overlap import check_overlap
from causalrep.effects.design import EffectDesign
from causalrep.effects.regressions.linear import Logistic
from causalrep.effects.scores import CLIP, Average, clipped
from causalrep.linalg import pinv_psd_solve, standardized


def hajek(
    t: Float[Array, " n"], y: Float[Array, " n"], e: Float[Array, " n"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Average effect and effect on the treated by weights that are normalized within each arm.

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
    """Logistic propensity by maximum likelihood: its design matrix, ones first, and coefficients; p = d + 1."""
    # Standardized, so that the information matrix is well conditioned.
    a = standardized(x)
    params = Logistic(penalty=0.0).fit(a, t, jnp.ones_like(t))
    return jnp.column_stack([jnp.ones_like(t), a]), jnp.concatenate([params.intercept[None], params.slopes])


def logistic_ipw(
    x: Float[Array, "n d"], t: Float[Array, " n"], y: Float[Array, " n"], clip: float
) -> tuple[Average, Average, Float[Array, " n"]]:
    """Normalized IPW with a logistic propensity: average effect, effect on the treated, and the propensities.

    The influence function is the one for known propensities plus the effect of estimating their coefficients,
    ``(d theta / d b) H^{-1} s_i`` with the score ``s_i`` of the logistic regression and its information H. Estimating
    the propensity makes the standard error of the average effect smaller, not larger (Hirano, Imbens and Ridder 2003).

    Args:
        x: Covariates.
        t: Treatment, 0 or 1.
        y: Outcome.
        clip: Propensities are moved into ``[clip, 1 - clip]``.
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
    influences = [known[j] + from_propensity[:, j] for j in range(2)]
    ate, att = (
        Average(value, jnp.sqrt(jnp.sum(influence**2)) / len(t), influence)
        for value, influence in zip(values, influences, strict=True)
    )
    return ate, att, p


def _known_influence(t, y, e):
    """Influence functions of both averages at known propensities.

    A weighted mean with weights v has the influence function ``v / mean(v) * (y - weighted mean)``.
    """

    def arm(weights):
        return weights / jnp.mean(weights) * (y - weights @ y / jnp.sum(weights))

    untreated = (1 - t) / (1 - e)
    return arm(t / e) - arm(untreated), arm(t) - arm(e * untreated)


class IPW(EffectEstimator):
    """Inverse propensity weighting, weights normalized within each arm (Hájek).

    The propensity is a logistic regression by maximum likelihood, and the estimate is consistent only if that model is
    right; :class:`AIPW` needs only one of two models to be right. Standard errors are those of M-estimation and account
    for the estimation of the propensity, but not for clipping.

    Args:
        clip: Propensities are moved into ``[clip, 1 - clip]``.

    Attributes:
        propensity_: Estimated propensities (n,).
    """

    _title = "Inverse propensity weighting (IPW)"
    _domains: ClassVar[dict[str, Domain]] = {"clip": Real(at_least=0, below=0.5)}

    def __init__(self, *, clip=CLIP):
        self.clip = clip

    def _estimate(self, design: EffectDesign) -> None:
        x, t, y = (jnp.asarray(a) for a in (design.xw, design.t, design.y))
        self._clip = float(self.clip)
        self.ate_, self.att_, self.propensity_ = jax.tree.map(np.asarray, logistic_ipw(x, t, y, self._clip))
        check_overlap(self.propensity_, design.t, self._clip)

    def _summary_facts(self) -> list[tuple[str, str]]:
        return [*super()._summary_facts(), self._propensity_fact()]
