"""Intervals for individual effects: two kinds, for two different questions.

*Bootstrap*: for the expected effect at x, ``tau(x)``. It reflects sampling error only, not the bias of a penalized or
misspecified regression.

*Conformal*: for the effect on a new unit with covariates x, ``Y(1) - Y(0)``, noise included. It is valid for any
outcome regression if the propensity is right, but wide: it combines one interval per potential outcome, at half the
error each.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from causalrep.effects.meta import EffectRows, MetaLearner, T
from causalrep.effects.scores import CLIP, clipped
from causalrep.inference.bootstrap import bootstrap_weights, over_weights
from causalrep.inference.conformal import conformal_quantile
from causalrep.inference.crossfit import Learner, is_host, stratified_folds


def bootstrap_effects(
    key: Key[Array, ""], learner: MetaLearner, data: EffectRows, x: Float[Array, "m d"], draws: int
) -> Float[Array, "draws m"]:
    """Effects at x of the learner refitted, nuisances and all, to rows drawn with replacement within each arm.

    Args:
        key: Random key.
        learner: A meta-learner.
        data: The rows.
        x: Covariates at which to estimate the effect.
        draws: Number of bootstrap samples.
    """

    def refitted(w):
        return learner.predict(learner.fit(data._replace(w=data.w * w)), x)

    weights = bootstrap_weights(key, data.t, draws).astype(data.y.dtype)
    return over_weights(refitted, weights, host=is_host(*learner.learners))


def conformal_effects(
    key: Key[Array, ""],
    outcome: Learner | MetaLearner,
    propensity: Learner,
    data: EffectRows,
    x: Float[Array, "m d"],
    alpha: float | Float[Array, ""],
    clip: float = CLIP,
) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """Ends of intervals that contain ``Y(1) - Y(0)`` of a new unit with probability at least ``1 - alpha``.

    Half of the rows fit the regressions, the other half calibrate them. The residuals of an arm are weighted by the
    inverse propensity, since a new unit comes from the whole population and not from that arm.

    Args:
        key: Random key of the split into halves.
        outcome: Regression within an arm, or a learner of both arms at once (with ``fit(data)`` and
            ``outcomes(params, x)``, as :class:`~causalrep.effects.networks.CFRLearner`).
        propensity: Regression of the treatment.
        data: The rows; ``x`` and ``xw`` are the same.
        x: Covariates at which intervals are wanted.
        alpha: Probability of missing the effect.
        clip: Propensities are moved into ``[clip, 1 - clip]``.

    Source: Lei and Candès (2021), sections 2 and 4.1 (Bonferroni's combination of the arms).
    """
    calibration = stratified_folds(key, data.t, 2) == 1
    training = data._replace(w=data.w * ~calibration)
    model: Any = outcome
    if not hasattr(outcome, "outcomes"):
        model = T(model)
    arms = 1 - data.t, data.t
    params = model.fit(training)
    treated = propensity.fit(data.xw, data.t, training.w)
    e_rows, e_new = (clipped(jnp.asarray(propensity.predict(treated, rows)), clip) for rows in (data.xw, x))
    predicted, expected = model.outcomes(params, data.xw), model.outcomes(params, x)
    radius = jnp.zeros(x.shape[0], data.y.dtype)
    for arm, mu, e_arm, e_test in zip(arms, predicted, (1 - e_rows, e_rows), (1 - e_new, e_new), strict=True):
        weights = data.w * calibration * arm / e_arm
        radius = radius + conformal_quantile(jnp.abs(data.y - mu), weights, 1.0 / e_test, alpha / 2)
    center = jnp.asarray(expected[1]) - jnp.asarray(expected[0])
    return center - radius, center + radius
