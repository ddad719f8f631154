"""Methods of the VLUCI tables: effects with U filled in, and their scores."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from causalrep.confounders import LatentModel, counterfactual_draws, decoded_outcomes, posterior, vluci
from causalrep.data import HiddenConfounderSample
from causalrep.effects import LeastSquares, meta
from causalrep.metrics import coverage, interval_width
from causalrep.training.rows import Schedule
from causalrep.training.trained import Trained

Effects = Float[Array, " n"]
Estimator = Callable[[HiddenConfounderSample, Float[Array, "n d"]], Effects]
LEVEL, INTERVAL_DRAWS = 0.9, 200


def learned(learner: meta.MetaLearner) -> Estimator:
    """A meta-learner that does not cross-fit, as a function of a sample and the covariates it may use."""

    def effects(s: HiddenConfounderSample, x: Float[Array, "n d"]) -> Effects:
        rows = meta.EffectRows(x, x, s.t, s.y, jnp.ones_like(s.y), jnp.zeros(len(s.y), int))
        return learner.predict(learner.fit(rows), x)

    return effects


OLS_T = learned(meta.T(LeastSquares()))


def scores(effects: Effects, s: HiddenConfounderSample) -> dict[str, Array]:
    """Signed and absolute error of the average effect, and PEHE."""
    error = effects - (s.mu1 - s.mu0)
    return {
        "bias": jnp.mean(error),
        "ate_error": jnp.abs(jnp.mean(error)),
        "pehe": jnp.sqrt(jnp.mean(jnp.square(error))),
    }


def without_vluci(s: HiddenConfounderSample, estimator: Estimator = OLS_T) -> dict[str, dict[str, Array]]:
    """The difference in means, and the estimator without U and with the true U."""
    gap = jnp.sum(s.t * s.y) / jnp.sum(s.t) - jnp.sum((1 - s.t) * s.y) / jnp.sum(1 - s.t)
    return {
        "Difference in means": scores(jnp.full_like(s.y, gap), s),
        "No U": scores(estimator(s, s.x), s),
        "Oracle": scores(estimator(s, jnp.column_stack([s.x, s.u])), s),
    }


def with_vluci(
    key: Key[Array, ""],
    s: HiddenConfounderSample,
    model: LatentModel,
    schedule: Schedule,
    draws: int,
    name: str = "VLUCI",
    estimators: Mapping[str, Estimator] = MappingProxyType({"": OLS_T}),
    options: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Trained, dict[str, dict[str, Array]]]:
    """Fit one law of U; one method for each way of using it, and under ``name`` the scores of U and of its fit.

    Args:
        key: Random key.
        s: The sample.
        model: The assumed law of U.
        schedule: Training schedule.
        draws: Number of draws of U.
        name: Name of the methods.
        estimators: Estimators given U, by the prefix of their methods' names.
        options: Further arguments of :func:`~causalrep.confounders.vluci.fit.vluci`.
    """
    fit_key, draw_key, interval_key = jax.random.split(key, 3)
    fitted = vluci(fit_key, s.x, s.t, s.y, model=model, schedule=schedule, **options)
    law = posterior(model, fitted, s.x, s.t, s.y)
    mean, us = law.mean(), law.sample(draw_key, draws)
    methods = {f"{name}, decoder": scores(decoded_outcomes(model, fitted, s.x, us).effect, s)}
    for prefix, estimator in estimators.items():
        many = jax.lax.map(lambda u, estimator=estimator: estimator(s, jnp.column_stack([s.x, u])), us)
        methods[f"{prefix}{name}, multiple"] = scores(jnp.mean(many, axis=0), s)
        methods[f"{prefix}{name}, mean"] = scores(estimator(s, jnp.column_stack([s.x, mean])), s)
    other = counterfactual_draws(interval_key, model, fitted, s.x, s.t, s.y, INTERVAL_DRAWS)
    low, high = jnp.quantile(other, jnp.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2]), axis=0)
    methods[name] = {
        "corr_u": jnp.max(jnp.abs(jax.vmap(lambda u: jnp.corrcoef(u, s.u)[0, 1], in_axes=1)(mean))),
        "kl": jnp.mean(law.kl()),
        "sd_given_xt": jnp.sqrt(jnp.mean(posterior(model, fitted, s.x, s.t).variance())),
        "held_out_joint": jnp.mean(fitted.extra.joint),
        "coverage": coverage(low, high, s.y_other),
        "width": interval_width(low, high),
        "diverged": fitted.diverged.astype(s.y.dtype),
    }
    return fitted, methods
