"""DeepGMM: adversarial moments, a game between a structural network and a critic of the instruments."""

from collections.abc import Mapping
from functools import lru_cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from causalrep.iv.nonlinear.kernels import median_lengthscale, nystroem, nystroem_features
from causalrep.iv.nonlinear.training import (
    NeuralFit,
    scaled_inputs,
    standardize,
    summarize,
    unscaled_outcome,
)
from causalrep.nn import MLP, trained_mlp
from causalrep.training import Objective, fit
from causalrep.training.rows import plan_epochs, split_rows

# Nystroem features of the instruments by which held-out moments are judged.
JUDGES = 50
Widths = tuple[int, ...]


def leaky_relu(x: Array) -> Array:
    """With slope .01 below zero, as in the released code's networks."""
    return nn.leaky_relu(x, 0.01)


@lru_cache
def networks(hidden: Widths, critic_hidden: Widths) -> tuple[MLP, MLP]:
    """The structural network g and the critic f."""
    return trained_mlp((*hidden, 1), activation=leaky_relu), trained_mlp((*critic_hidden, 1), activation=leaky_relu)


@lru_cache
def deep_gmm_objective(hidden: Widths, critic_hidden: Widths) -> Objective:
    """The game as an objective, for batches of ``y``, ``x``, ``z`` and, to validate, ``psi`` (kernel features of z).

    Its gradients are the players': g descends ``mean f(z) (y - g(x))`` and f ascends
    ``mean f(z) (y - g(x)) - mean f(z)^2 (y - g(x))^2 / 4``, in which g is held fixed. A game's value says nothing about
    progress, so on batches with ``psi`` the *value* is another one: the squared violation of the moments over a ball of
    the instruments' kernel space (:func:`~causalrep.iv.nonlinear.mmr.moment_risk`), by which held-out rows pick the
    best parameters. The released code judges by a pool of past critics instead.
    """
    g, f = networks(hidden, critic_hidden)

    def init(key: jax.Array, batch: Mapping[str, jax.Array]) -> dict:
        g_key, f_key = jax.random.split(key)
        return {"structural": g.init(g_key, batch["x"]), "critic": f.init(f_key, batch["z"])}

    def loss(params: dict, key: jax.Array, batch: Mapping[str, jax.Array]) -> tuple[jax.Array, dict]:
        residual = batch["y"] - g.apply(params["structural"], batch["x"])[:, 0]
        weight = f.apply(params["critic"], batch["z"])[:, 0]
        held, fixed = jax.lax.stop_gradient(residual), jax.lax.stop_gradient(weight)
        payoff = jnp.mean(weight * held) - jnp.mean(jnp.square(weight * held)) / 4
        game = jnp.mean(fixed * residual) - payoff
        value = payoff
        if "psi" in batch:
            n, psi = held.shape[0], batch["psi"]
            pairs = jnp.sum(jnp.square(held @ psi)) - jnp.sum(jnp.sum(jnp.square(psi), axis=1) * jnp.square(held))
            value = pairs / (n * (n - 1))
        return jax.lax.stop_gradient(value - game) + game, {}

    return Objective(init, loss)


@lru_cache
def game_optimizer(learning_rate: float, critic_speed: float) -> optax.GradientTransformation:
    """Optimistic Adam for both players: plain descent circles around a saddle point."""
    players = {"structural": learning_rate, "critic": critic_speed * learning_rate}
    transforms = {name: optax.optimistic_adam_v2(rate, b1=0.5, b2=0.9) for name, rate in players.items()}
    return optax.multi_transform(transforms, {name: name for name in players})


def deep_gmm(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n d"],
    z: Float[Array, "n k"],
    *,
    hidden: Widths = (20, 3),
    critic_hidden: Widths = (20,),
    epochs: int = 1000,
    batch_size: int = 1024,
    learning_rate: float = 5e-4,
    critic_speed: float = 5.0,
    validation_share: float = 0.5,
) -> NeuralFit:
    """Train the game and keep the structural network with the least held-out moment violation.

    Args:
        key: Of initialisation and batches.
        y: Outcome; rows in random order.
        x: Treatments and controls.
        z: Instruments and controls.
        hidden: Hidden widths of g.
        critic_hidden: Hidden widths of f.
        epochs: Passes over the training rows.
        batch_size: Rows a step.
        learning_rate: Of g.
        critic_speed: The critic's learning rate over g's.
        validation_share: Share of the rows (the last ones) that select the parameters.

    Source: Bennett, Kallus, Schnabel (2019), "Deep Generalized Method of Moments for Instrumental Variable Analysis",
    NeurIPS (arXiv 1905.12495); widths, rates and optimiser of its released code.
    """
    data, scaling = standardize(y, x, z)
    judges = nystroem(data.z[:JUDGES], median_lengthscale(data.z))
    plan = plan_epochs(len(y), validation_share=validation_share, epochs=epochs, batch_size=batch_size)
    train, held_out = split_rows(data._asdict(), plan.rows)
    held_out["psi"] = nystroem_features(judges, held_out["z"])
    result = fit(
        deep_gmm_objective(hidden, critic_hidden),
        game_optimizer(learning_rate, critic_speed),
        train,
        key,
        steps=plan.steps,
        batch_size=plan.batch_size,
        validation=held_out,
        eval_every=plan.eval_every,
    )
    return summarize(result, result.params["structural"], scaling)


def deep_gmm_predict(
    found: NeuralFit, x: Float[Array, "n d"], *, hidden: Widths = (20, 3), critic_hidden: Widths = (20,)
) -> Float[Array, " n"]:
    """The structural function at rows of treatments and controls."""
    g, _ = networks(hidden, critic_hidden)
    return unscaled_outcome(found.scaling, g.apply(found.params, scaled_inputs(found.scaling, x))[:, 0])
