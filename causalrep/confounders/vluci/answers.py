"""The answer under one law of U: fit the model, fill U in, estimate the effect."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causalrep.confounders.vluci.completion import Completed, complete
from causalrep.confounders.vluci.fit import decoded_outcomes, posterior, separation, vluci
from causalrep.confounders.vluci.identification import FamilyFit
from causalrep.confounders.vluci.model import LatentModel
from causalrep.effects.design import EffectDesign
from causalrep.inference.pooling import Pooled
from causalrep.keys import root
from causalrep.training.rows import Schedule
from causalrep.training.trained import Trained, refuse_divergence

Use = Literal["mean", "multiple", "decoder"]


class Plan(NamedTuple):
    """How U is used: ``"mean"``, ``"multiple"`` or ``"decoder"``, with which estimator, draws and seed."""

    use: Use
    estimator: Any
    draws: int
    seed: int


class Answer(NamedTuple):
    """A fitted model, the effect under it, and its line in the report."""

    fitted: Trained
    posterior_mean: np.ndarray
    completed: Completed
    family: FamilyFit


def answer(
    design: EffectDesign, model: LatentModel, schedule: Schedule, options: Mapping[str, Any], plan: Plan
) -> Answer:
    """Fit one law of U to checked data and estimate the effect under it, in the way of using U that ``plan`` names.

    All laws are fitted with the same key, so that they are judged on the same held-out rows. Runs in float32, but for
    the effect estimators.

    Args:
        design: Checked data.
        model: The assumed law of U.
        schedule: Training schedule.
        options: The remaining keyword arguments of :func:`~causalrep.confounders.vluci.fit.vluci`.
        plan: How U is used.

    Raises:
        DivergenceError: If training met a loss that is not finite.
    """
    x, t, y = (np.asarray(values, np.float32) for values in (design.x, design.t, design.y))
    key, draw_key = jax.random.split(root(plan.seed))
    fitted = jax.device_get(_program(key, x, t, y, model=model, schedule=schedule, **options))
    refuse_divergence(fitted, model)
    law = posterior(model, fitted, x, t, y)
    mean, kl = np.asarray(law.mean()), np.asarray(law.kl().mean(0))
    draws = np.asarray(law.sample(draw_key, plan.draws))
    if plan.use == "decoder":
        effects = decoded_effects(model, fitted, x, draws)
        nan = np.float64(np.nan)
        average = Pooled(effects.mean(), nan, nan, nan, nan)
        completed = Completed((), effects, average, "the error of the decoder is not known")
    else:
        us = mean[None] if plan.use == "mean" else draws
        completed = complete(plan.estimator, design.y, design.t, design.x, us.astype(np.float64))
    family = FamilyFit(
        model.latent,
        model.dim,
        model.form,
        float(completed.average.value),
        np.asarray(fitted.extra.joint, np.float64),
        tuple(map(float, kl)),
        float(separation(model, fitted, x)),
    )
    return Answer(fitted, mean, completed, family)


def decoded_effects(model: LatentModel, fitted: Trained, x: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Effects by the model's own outcome networks, averaged over draws of U (S, n, k)."""
    outcomes = decoded_outcomes(model, fitted, jnp.asarray(x, jnp.float32), jnp.asarray(draws, jnp.float32))
    return np.asarray(outcomes.effect, np.float64)


_program = jax.jit(
    vluci, static_argnames=("model", "schedule", "objective", "warm_start", "warm_up", "independence", "start")
)
