"""VLUCI: variational inference of unobserved confounders, as pure functions of a key and arrays.

Zhao, Huang, Wu, Peng and Sun (2023), "VLUCI: Variational Learning of Unobserved Confounders for Counterfactual
Inference" (arXiv 2308.00904). Only its abstract and third-party summaries were available: the equations, networks and
defaults are our specification of them.
"""

from functools import lru_cache
from typing import Literal

import chex
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from causalrep.confounders.control_function import control_function
from causalrep.confounders.outcomes import PotentialOutcomes
from causalrep.confounders.rows import divide
from causalrep.confounders.vluci.laws import Posterior, prior
from causalrep.confounders.vluci.model import Batch, LatentModel, OutcomeLaw, apply, with_treatment_slopes
from causalrep.confounders.vluci.objective import (
    SELECTION,
    SELECTION_SAMPLES,
    Bounds,
    Settings,
    bounds,
    vluci_objective,
)
from causalrep.keys import derive
from causalrep.training import Objective, fit, ticking
from causalrep.training.optimizers import adam
from causalrep.training.rows import Scaling, Schedule, check_schedule, no_scaling, scaling_of
from causalrep.training.trained import Trained, trained

SCHEDULE = Schedule(epochs=300, batch_size=256, learning_rate=1e-3, weight_decay=1e-5, validation_share=0.2)
# Largest global norm of the gradients.
CLIP = 5.0


def vluci(
    key: Key[Array, ""],
    x: Float[Array, "n d"],
    t: Float[Array, " n"],
    y: Float[Array, " n"],
    *,
    model: LatentModel,
    schedule: Schedule = SCHEDULE,
    objective: Literal["double", "joint"] = "double",
    warm_start: int = 20,
    warm_up: float = 0.2,
    independence: float = 1.0,
    start: Literal["zero", "two_step"] = "zero",
) -> Trained:
    """Fit the generative model and both posteriors to observed data; the rows held out select them by ``L_J``.

    Args:
        key: Random key. With the same key the same rows are held out, whatever the model.
        x: Observed covariates.
        t: Treatment, 0 or 1.
        y: Outcome.
        model: The assumed law of the unobserved confounder: it decides what is identified.
        schedule: Training schedule, in epochs, warm start included.
        objective: ``"double"``: ``L_T + L_Y``; ``"joint"``: ``L_J``; see
            :class:`~causalrep.confounders.vluci.objective.Settings`. Take the second for a Gaussian U: in the first the
            prior of U given x and t is a Gaussian q1, which makes y Gaussian given both whatever the confounding, and
            the best fit is no confounding at all.
        warm_start: Epochs with u = 0 at the start.
        warm_up: Share of the other updates over which the weight of the divergences rises to 1.
        independence: Weight of the term that keeps ``E_q2[u]`` uncorrelated with x.
        start: The coefficient of U in the treatment before training. ``"zero"``; or, for the affine form,
            ``"two_step"``: 1 with the sign of the selection term of Heckman's two steps. For a Gaussian U zero is a
            saddle: residuals have mean zero in each arm, so that at first nothing tells in which direction U moves the
            treatment.

    Returns:
        The fit. Its ``extra`` are the :class:`~causalrep.confounders.vluci.objective.Bounds` at each row held out (r,),
        in nats, for the standardized outcome.
    """
    chex.assert_rank([x, t, y], [2, 1, 1])
    chex.assert_equal_shape_prefix([x, t, y], 1)
    schedule = check_schedule(schedule, SCHEDULE)
    split_key, fit_key, check_key = jax.random.split(key, 3)
    x32, y32 = jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)
    scaling = {"x": scaling_of(x32), "y": no_scaling(y32) if model.outcome == "bernoulli" else scaling_of(y32)}
    plan, rows, held_out = divide(split_key, scaled(scaling, x, t, y), x.shape[0], schedule)
    # Epochs become updates: those without u, then those over which the divergences gain weight.
    plain = warm_start * (plan.rows // plan.batch_size)
    loss = vluci_objective(model, Settings(objective, independence, plain, round(warm_up * (plan.steps - plain))))
    result = fit(
        loss,
        _optimizer(schedule.learning_rate, schedule.weight_decay),
        rows,
        fit_key,
        steps=plan.steps,
        batch_size=plan.batch_size,
        validation={**held_out, SELECTION: jnp.ones_like(held_out["t"])},
        eval_every=plan.eval_every,
        start=_two_step_start(loss, model, derive(fit_key, "start"), rows) if start == "two_step" else None,
    )
    params = result.params["networks"]

    # Bounds of single rows, all with the same draws, so that laws of U can be compared pairwise on the same rows.
    def score(row: Batch) -> Bounds:
        one = jax.tree.map(lambda leaf: leaf[None], row)
        return bounds(model, params, check_key, one, samples=SELECTION_SAMPLES)

    return trained(result, scaling, params=params, extra=jax.vmap(score)(held_out))


def posterior(
    model: LatentModel,
    fitted: Trained,
    x: Float[Array, "n d"],
    t: Float[Array, " n"] | None = None,
    y: Float[Array, " n"] | None = None,
) -> Posterior:
    """The law of U given what was observed: ``q2(u|x,t,y)``, ``q1(u|x,t)`` without y, the prior without t and y."""
    if t is None:
        return prior(model.latent, model.dim, x.shape[0])
    batch = scaled(fitted.scaling, x, t, jnp.zeros_like(t) if y is None else y)
    return apply(model, fitted.params, "q1" if y is None else "q2", batch)


def outcome_law(model: LatentModel, fitted: Trained, x: Float[Array, "n d"], u: Float[Array, "n k"]) -> OutcomeLaw:
    """The law of the outcome in both arms at a value of u, in its units: means or probabilities, and scales."""
    law = apply(model, fitted.params, "outcome_law", _scaled_x(fitted.scaling, x), u)
    if model.outcome == "bernoulli":
        return OutcomeLaw(jax.nn.sigmoid(law.location), law.scale)
    return OutcomeLaw(fitted.scaling["y"].undo(law.location), fitted.scaling["y"].std * law.scale)


def decoded_outcomes(
    model: LatentModel, fitted: Trained, x: Float[Array, "n d"], draws: Float[Array, "S n k"]
) -> PotentialOutcomes:
    """Expected potential outcomes by the model's own outcome networks, averaged over draws of u.

    Draws from q2 give the outcomes of these units, draws from the prior those of the population at x.
    """
    location = jnp.mean(jax.vmap(lambda u: outcome_law(model, fitted, x, u).location)(draws), axis=0)
    return PotentialOutcomes(location[:, 0], location[:, 1])


def counterfactual_draws(
    key: Key[Array, ""],
    model: LatentModel,
    fitted: Trained,
    x: Float[Array, "n d"],
    t: Float[Array, " n"],
    y: Float[Array, " n"],
    draws: int,
) -> Float[Array, "draws n"]:
    """Draws of the outcome each unit would have had under the other treatment, noise included, given its own outcome.

    Args:
        key: Random key.
        model: The assumed law of U.
        fitted: A fit by :func:`vluci`.
        x: Covariates.
        t: The treatment received.
        y: The outcome observed.
        draws: Number of draws; intervals need at least 200.
    """
    u_key, y_key = jax.random.split(key)
    # Abduction: draws of U given all that was observed of the unit. Then the other arm's outcome at that U.
    us = posterior(model, fitted, x, t, y).sample(u_key, draws)

    def one(noise_key: jax.Array, u: Array) -> Array:
        law = outcome_law(model, fitted, x, u)
        other = jnp.where(t == 1, law.location[:, 0], law.location[:, 1])
        if model.outcome == "bernoulli":
            return jax.random.bernoulli(noise_key, other).astype(other.dtype)
        scale = jnp.where(t == 1, law.scale[0], law.scale[1])
        return other + scale * jax.random.normal(noise_key, other.shape, other.dtype)

    return jax.vmap(one)(jax.random.split(y_key, draws), us)


def separation(model: LatentModel, fitted: Trained, x: Float[Array, "n d"]) -> Float[Array, ""]:
    """Mean over units and arms of ``|c_t(x)| / s_t``.

    For a two-point U this is half the distance between the components of the outcome, in standard deviations of the
    noise. NaN for models without this quantity: networks of (x, u), a binary outcome.
    """
    if model.form != "affine" or model.outcome != "gaussian":
        return jnp.asarray(jnp.nan)
    slopes, scales = apply(model, fitted.params, "outcome_slopes", _scaled_x(fitted.scaling, x))
    return jnp.mean(jnp.linalg.norm(slopes, axis=-1) / scales)


def scaled(scaling: dict[str, Scaling], x: Array, t: Array, y: Array) -> Batch:
    """A float32 batch in the units of training."""
    return {
        "x": _scaled_x(scaling, x),
        "t": jnp.asarray(t, jnp.float32),
        "y": scaling["y"].apply(jnp.asarray(y, jnp.float32)),
    }


def _scaled_x(scaling: dict[str, Scaling], x: Array) -> Array:
    return scaling["x"].apply(jnp.asarray(x, jnp.float32))


def _two_step_start(objective: Objective, model: LatentModel, key: jax.Array, rows: Batch) -> PyTree:
    """Initial parameters whose treatment has the sign of Heckman's selection term on the first coordinate of u."""
    start = objective.init(key, jax.tree.map(lambda leaf: leaf[:2], rows))
    selection = control_function(rows["x"], rows["t"], rows["y"]).selection
    slopes = jnp.zeros(model.dim).at[0].set(jnp.where(selection < 0, -1.0, 1.0))
    return {**start, "networks": with_treatment_slopes(start["networks"], slopes)}


@lru_cache
def _optimizer(learning_rate: float, weight_decay: float) -> optax.GradientTransformation:
    return ticking(adam(learning_rate, weight_decay=weight_decay, clip=CLIP))
