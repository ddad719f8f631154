"""From a law of U to an answer: fit the model, fill U in, estimate the effect."""

from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causalrep.confounders.vluci.completion import Completed, complete
from causalrep.confounders.vluci.fit import Training, VLUCIFit, decoded_outcomes, posterior, separation, vluci
from causalrep.confounders.vluci.identification import FamilyFit
from causalrep.confounders.vluci.model import LatentModel
from causalrep.effects.design import EffectDesign
from causalrep.inference.pooling import Pooled
from causalrep.keys import root
from causalrep.training.trained import refuse_divergence

Use = Literal["mean", "multiple", "decoder"]


class Plan(NamedTuple):
    """How U is used: ``"mean"``, ``"multiple"`` or ``"decoder"``, with which estimator, draws and seed."""

    use: Use
    estimator: Any
    draws: int
    seed: int


class Answer(NamedTuple):
    """A fitted model, the effect under it, and its line in the report."""

    found: VLUCIFit
    posterior_mean: np.ndarray
    completed: Completed
    family: FamilyFit


def answer(design: EffectDesign, model: LatentModel, training: Training, plan: Plan) -> Answer:
    """Fit one law of U to checked data and estimate the effect under it, by the plan's way of using U.

    All laws are fitted with the same key: they are judged on the same held-out rows.

    Raises:
        DivergenceError: If training met a loss that is not finite.
    """
    x, t, y = (np.asarray(values, np.float32) for values in (design.x, design.t, design.y))
    key, draw_key = jax.random.split(root(plan.seed))
    with jax.enable_x64(False):
        found = jax.device_get(_program(model, training)(key, x, t, y))
        refuse_divergence(found, model)
        known = posterior(model, found, x, t, y)
        mean, kl = np.asarray(known.mean()), np.asarray(known.kl().mean(0))
        draws = np.asarray(known.sample(draw_key, plan.draws))
    if plan.use == "decoder":
        effects = decoded_effects(model, found, x, draws)
        nan = np.float64(np.nan)
        average = Pooled(effects.mean(), nan, nan, nan, nan)
        completed = Completed((), effects, average, "the decoder's error is not known")
    else:
        us = mean[None] if plan.use == "mean" else draws
        completed = complete(plan.estimator, design.y, design.t, design.x, us.astype(np.float64))
    with jax.enable_x64(False):
        distance = float(separation(model, found, x))
    family = FamilyFit(
        model.latent,
        model.dim,
        model.form,
        float(completed.average.value),
        np.asarray(found.held_out.joint, np.float64),
        tuple(map(float, kl)),
        distance,
    )
    return Answer(found, mean, completed, family)


def decoded_effects(model: LatentModel, found: VLUCIFit, x: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Effects by the model's own outcome networks, averaged over draws of U (S, n, k)."""
    with jax.enable_x64(False):
        outcomes = decoded_outcomes(model, found, jnp.asarray(x, jnp.float32), jnp.asarray(draws, jnp.float32))
        return np.asarray(outcomes.mu1 - outcomes.mu0, np.float64)


@lru_cache(maxsize=64)
def _program(model: LatentModel, training: Training):
    """One compiled program a model and its training."""
    return jax.jit(partial(vluci, model=model, training=training))
