"""VLUCI: variational inference of unobserved confounders, as pure functions of a key and arrays.

Zhao, Huang, Wu, Peng and Sun (2023), "VLUCI: Variational Learning of Unobserved Confounders for Counterfactual
Inference" (arXiv 2308.00904). Only its abstract and third-party summaries were at hand: the equations, networks and
defaults are our specification of them.
"""

from functools import lru_cache
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from causalrep.confounders.control_function import control_function
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
from causalrep.training import Objective, fit, ticking
from causalrep.training.rows import plan_epochs, split_rows

CLIP = 5.0


class Training(NamedTuple):
    """How it is trained; all static.

    Attributes:
        objective: ``"double"`` or ``"joint"``; see
            :class:`~causalrep.confounders.vluci.objective.Settings`. For a Gaussian U take the second: the first's
            prior of U given x and t, a Gaussian q1, makes y Gaussian given both, whatever
            the confounding, and its best fit is none.
        epochs: Passes over the training rows, warm start included.
        warm_start: Passes with u = 0 at the start.
        warm_up: Share of the other updates over which the weight of the divergences rises to 1.
        independence: Weight of the term that keeps ``E_q2[u]`` uncorrelated with x.
        batch_size: Rows a step.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        validation_share: Share of the rows that select the parameters, by ``L_J``.
        start: The coefficient of U in the treatment before training. ``"zero"``; or, for the affine form,
            ``"two_step"``: 1 with the sign that Heckman's two steps find. For a Gaussian U zero is a saddle: residuals
            have mean zero in each arm, so that nothing tells at first which way U moves the treatment.
    """

    objective: Literal["double", "joint"] = "double"
    epochs: int = 300
    warm_start: int = 20
    warm_up: float = 0.2
    independence: float = 1.0
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    validation_share: float = 0.2
    start: Literal["zero", "two_step"] = "zero"


class Scaling(NamedTuple):
    """Means and standard deviations of covariates (d,) and outcome; 0 and 1 for a binary outcome."""

    x_mean: Float[Array, " d"]
    x_std: Float[Array, " d"]
    y_mean: Float[Array, ""]
    y_std: Float[Array, ""]


class VLUCIFit(NamedTuple):
    """A fitted model of the unobserved confounder.

    Attributes:
        params: Of its networks.
        scaling: Of the data.
        held_out: The bounds at each of the rows that selected the parameters (r,), in nats, for the standardised
            outcome. With the same key they are the same rows, whatever the model.
        best_step: Updates behind ``params``.
        diverged: Whether some loss or gradient was not finite; ``params`` are then the last finite ones.
        first_bad_step: The update at which that happened, or -1.
    """

    params: PyTree
    scaling: Scaling
    held_out: Bounds
    best_step: Int[Array, ""]
    diverged: Bool[Array, ""]
    first_bad_step: Int[Array, ""]


class PotentialOutcomes(NamedTuple):
    """Expected outcomes without and with treatment, each (n,)."""

    mu0: Float[Array, " n"]
    mu1: Float[Array, " n"]


def vluci(
    key: Key[Array, ""],
    x: Float[Array, "n d"],
    t: Float[Array, " n"],
    y: Float[Array, " n"],
    *,
    model: LatentModel,
    training: Training,
) -> VLUCIFit:
    """Fit the generative model and both posteriors to observed data.

    Args:
        key: Of the split, initialisation, batches and samples of u.
        x: Observed covariates.
        t: Treatment, 0 or 1.
        y: Outcome.
        model: What is assumed of the unobserved confounder: it decides what is identified.
        training: How to train.
    """
    split_key, fit_key, check_key = jax.random.split(key, 3)
    init_key = jax.random.fold_in(fit_key, 1)
    scaling = _scaling(x, y, model)
    plan = plan_epochs(
        x.shape[0], validation_share=training.validation_share, epochs=training.epochs, batch_size=training.batch_size
    )
    order = jax.random.permutation(split_key, x.shape[0])
    batch = jax.tree.map(lambda leaf: leaf[order], scaled(scaling, x, t, y))
    rows, held_out = split_rows(batch, plan.rows)
    warm_start = training.warm_start * (plan.rows // plan.batch_size)
    settings = Settings(
        training.objective, training.independence, warm_start, round(training.warm_up * (plan.steps - warm_start))
    )
    objective = vluci_objective(model, settings)
    found = fit(
        objective,
        _optimizer(training.learning_rate, training.weight_decay),
        rows,
        fit_key,
        steps=plan.steps,
        batch_size=plan.batch_size,
        validation={**held_out, SELECTION: jnp.ones_like(held_out["t"])},
        eval_every=plan.eval_every,
        start=_two_step_start(objective, model, init_key, rows) if training.start == "two_step" else None,
    )
    params = found.params["networks"]

    def score(row: Batch) -> Bounds:
        one = jax.tree.map(lambda leaf: leaf[None], row)
        return bounds(model, params, check_key, one, samples=SELECTION_SAMPLES)

    scores = jax.vmap(score)(held_out)
    return VLUCIFit(params, scaling, scores, found.best_step, found.diverged, found.first_bad_step)


def posterior(
    model: LatentModel,
    found: VLUCIFit,
    x: Float[Array, "n d"],
    t: Float[Array, " n"] | None = None,
    y: Float[Array, " n"] | None = None,
) -> Posterior:
    """What is known of U: ``q2(u|x,t,y)``, ``q1(u|x,t)`` without the outcome, the prior without the treatment."""
    if t is None:
        return prior(model.latent, model.dim, x.shape[0])
    batch = scaled(found.scaling, x, t, jnp.zeros_like(t) if y is None else y)
    return apply(model, found.params, "q1" if y is None else "q2", batch)


def outcome_law(model: LatentModel, found: VLUCIFit, x: Float[Array, "n d"], u: Float[Array, "n k"]) -> OutcomeLaw:
    """The outcome's law in both arms at a value of u: means or probabilities, and scales, in the outcome's units."""
    law = apply(model, found.params, "outcome_law", _scaled_x(found.scaling, x), u)
    if model.outcome == "bernoulli":
        return OutcomeLaw(jax.nn.sigmoid(law.location), law.scale)
    return OutcomeLaw(found.scaling.y_mean + found.scaling.y_std * law.location, found.scaling.y_std * law.scale)


def decoded_outcomes(
    model: LatentModel, found: VLUCIFit, x: Float[Array, "n d"], draws: Float[Array, "S n k"]
) -> PotentialOutcomes:
    """Expected potential outcomes, by the model's own outcome networks, averaged over draws of u.

    With draws from q2 they are the units' own; with draws from the prior, those of the population at x.
    """
    location = jnp.mean(jax.vmap(lambda u: outcome_law(model, found, x, u).location)(draws), axis=0)
    return PotentialOutcomes(location[:, 0], location[:, 1])


def counterfactual_draws(
    key: Key[Array, ""],
    model: LatentModel,
    found: VLUCIFit,
    x: Float[Array, "n d"],
    t: Float[Array, " n"],
    y: Float[Array, " n"],
    draws: int,
) -> Float[Array, "draws n"]:
    """Draws of the outcome each unit would have had under the other treatment, noise included, given its own outcome.

    Args:
        key: Random key.
        model: What is assumed.
        found: The fit.
        x: Covariates.
        t: The treatment received.
        y: The outcome seen.
        draws: S; intervals take at least 200.
    """
    u_key, y_key = jax.random.split(key)
    us = posterior(model, found, x, t, y).sample(u_key, draws)

    def one(noise_key: jax.Array, u: Array) -> Array:
        law = outcome_law(model, found, x, u)
        other = jnp.where(t == 1, law.location[:, 0], law.location[:, 1])
        if model.outcome == "bernoulli":
            return jax.random.bernoulli(noise_key, other).astype(other.dtype)
        scale = jnp.where(t == 1, law.scale[0], law.scale[1])
        return other + scale * jax.random.normal(noise_key, other.shape, other.dtype)

    return jax.vmap(one)(jax.random.split(y_key, draws), us)


def separation(model: LatentModel, found: VLUCIFit, x: Float[Array, "n d"]) -> Float[Array, ""]:
    """Mean over units and arms of ``|c_t(x)| / s_t``: half the distance of a two-point U's components, in noise sds.

    NaN where the model has no such thing: networks of (x, u), a binary outcome.
    """
    if model.form != "affine" or model.outcome != "gaussian":
        return jnp.asarray(jnp.nan)
    slopes, scales = apply(model, found.params, "outcome_slopes", _scaled_x(found.scaling, x))
    return jnp.mean(jnp.linalg.norm(slopes, axis=-1) / scales)


def scaled(scaling: Scaling, x: Array, t: Array, y: Array) -> Batch:
    """A batch in the units of training, float32."""
    return {
        "x": _scaled_x(scaling, x),
        "t": jnp.asarray(t, jnp.float32),
        "y": (jnp.asarray(y, jnp.float32) - scaling.y_mean) / scaling.y_std,
    }


def _scaled_x(scaling: Scaling, x: Array) -> Array:
    return (jnp.asarray(x, jnp.float32) - scaling.x_mean) / scaling.x_std


def _scaling(x: Array, y: Array, model: LatentModel) -> Scaling:
    x, y = jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)
    moments = [jnp.mean(x, axis=0), jnp.std(x, axis=0)]
    moments += [jnp.zeros(()), jnp.ones(())] if model.outcome == "bernoulli" else [jnp.mean(y), jnp.std(y)]
    found = Scaling(*moments)
    return found._replace(
        x_std=jnp.where(found.x_std > 0, found.x_std, 1.0), y_std=jnp.where(found.y_std > 0, found.y_std, 1.0)
    )


def _two_step_start(objective: Objective, model: LatentModel, key: jax.Array, rows: Batch) -> PyTree:
    """Initial parameters, but for the treatment's coefficient of the first coordinate of u: the sign of Heckman's."""
    start = objective.init(key, jax.tree.map(lambda leaf: leaf[:2], rows))
    selection = control_function(rows["x"], rows["t"], rows["y"]).selection
    slopes = jnp.zeros(model.dim).at[0].set(jnp.where(selection < 0, -1.0, 1.0))
    return {**start, "networks": with_treatment_slopes(start["networks"], slopes)}


@lru_cache
def _optimizer(learning_rate: float, weight_decay: float) -> optax.GradientTransformation:
    clipped = optax.chain(optax.clip_by_global_norm(CLIP), optax.adamw(learning_rate, weight_decay=weight_decay))
    return ticking(clipped)
