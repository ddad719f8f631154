"""DFIV: learned features for both stages, the stages themselves in closed form."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from causalrep.iv.nonlinear.training import (
    NeuralFit,
    scaled_inputs,
    standardize,
    summarize,
    unscaled_outcome,
)
from causalrep.linalg import spd_solve
from causalrep.nn import MLP, trained_mlp
from causalrep.training import Objective, fit

Widths = tuple[int, ...]
Batch = Mapping[str, jax.Array]


class FeatureWidths(NamedTuple):
    """Hidden widths of the three networks, and the number of features each ends in (the last one)."""

    treatment: Widths = (16, 16)
    instrument: Widths = (64, 32)
    covariate: Widths = (64, 16)


@lru_cache
def feature_networks(widths: FeatureWidths) -> tuple[MLP, MLP, MLP]:
    """The networks phi(t), psi(z, x) and xi(x)."""
    return tuple(trained_mlp(width, activate_final=True) for width in widths)


def with_constant(features: Float[Array, "n d"]) -> Float[Array, "n e"]:
    """A column of ones appended."""
    return jnp.column_stack([features, jnp.ones(len(features), features.dtype)])


def instrument_features(
    first: Float[Array, "n d"], second: Float[Array, "m d"]
) -> tuple[Float[Array, "n e"], Float[Array, "m e"]]:
    """Features of both halves on the scale of the first half, with a constant.

    Unit variance is what makes a fixed ridge penalty mean the same whatever the network's scale; the released code's
    networks end in batch normalisation to this effect.
    """
    mean, std = jnp.mean(first, axis=0), jnp.sqrt(jnp.var(first, axis=0) + 1e-5)
    return with_constant((first - mean) / std), with_constant((second - mean) / std)


def ridge_solution(
    features: Float[Array, "n d"], targets: Float[Array, "n *p"], penalty: float
) -> Float[Array, "d *p"]:
    """Ridge regression with the penalty per row: ``(F^T F / n + penalty I)^-1 F^T targets / n``."""
    n, d = features.shape
    gram = features.T @ features / n + penalty * jnp.eye(d, dtype=features.dtype)
    return spd_solve(gram, features.T @ targets / n)


def ridge_loss(
    features: Float[Array, "n d"], targets: Float[Array, "n *p"], coef: Float[Array, "d *p"], penalty: float
) -> Float[Array, ""]:
    """What :func:`ridge_solution` minimises, per row."""
    squares = jnp.sum(jnp.square(targets - features @ coef)) / len(features)
    return squares + penalty * jnp.sum(jnp.square(coef))


def structural_features(phi: Float[Array, "n d"], xi: Float[Array, "n e"] | None) -> Float[Array, "n f"]:
    """Features of the second stage: all products of (phi, 1) and (xi, 1)."""
    phi = with_constant(phi)
    if xi is None:
        return phi
    return jnp.einsum("ni,nj->nij", phi, with_constant(xi)).reshape(len(phi), -1)


@lru_cache
def dfiv_objective(widths: FeatureWidths, treatments: int, first_penalty: float, second_penalty: float) -> Objective:
    """Both stages' losses as one objective, for batches of two half samples: ``x1``, ``z1``, ``x2``, ``z2``, ``y2``.

    The instrument's network receives the gradient of the first stage's ridge loss, the treatment's and the
    covariates' that of the second stage's, through the closed forms; neither sees the other's. The value is the
    second stage's loss.
    """
    phi, psi, xi = feature_networks(widths)

    def init(key: jax.Array, batch: Batch) -> dict:
        keys = jax.random.split(key, 3)
        t, x = batch["x1"][:, :treatments], batch["x1"][:, treatments:]
        params = {"treatment": phi.init(keys[0], t), "instrument": psi.init(keys[1], batch["z1"])}
        return params | ({"covariate": xi.init(keys[2], x)} if x.shape[1] else {})

    def loss(params: dict, key: jax.Array, batch: Batch) -> tuple[jax.Array, dict]:
        t1, x2 = batch["x1"][:, :treatments], batch["x2"][:, treatments:]
        phi1 = phi.apply(params["treatment"], t1)
        psi1, psi2 = instrument_features(*(psi.apply(params["instrument"], batch[name]) for name in ("z1", "z2")))
        fixed = jax.lax.stop_gradient
        # By the envelope theorem the inner solution may be held fixed in the gradient of its own minimum.
        first = fixed(ridge_solution(psi1, phi1, first_penalty))
        first_loss = ridge_loss(psi1, fixed(phi1), first, first_penalty)

        embedded = fixed(psi2) @ ridge_solution(fixed(psi1), phi1, first_penalty)
        covariates = xi.apply(params["covariate"], x2) if x2.shape[1] else None
        features = structural_features(embedded, covariates)
        second = fixed(ridge_solution(features, batch["y2"], second_penalty))
        second_loss = ridge_loss(features, batch["y2"], second, second_penalty)
        return second_loss + first_loss - fixed(first_loss), {"first_loss": first_loss}

    return Objective(init, loss)


def every(steps: int, optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """An optimizer that moves at every ``steps``-th update only, and ignores the gradients between."""

    def init(params):
        return jnp.zeros((), jnp.int32), optimizer.init(params)

    def update(updates, state, params=None):
        count, inner = state
        moves = (count + 1) % steps == 0
        found, after = optimizer.update(updates, inner, params)
        gated = jax.tree.map(lambda update: jnp.where(moves, update, jnp.zeros_like(update)), found)
        return gated, (count + 1, jax.tree.map(lambda new, old: jnp.where(moves, new, old), after, inner))

    return optax.GradientTransformation(init, update)


@lru_cache
def two_speed_optimizer(learning_rate: float, inner_steps: int, controls: bool) -> optax.GradientTransformation:
    """Adam for all networks; the treatment's moves once in ``inner_steps`` updates of the others."""
    transforms = {"treatment": every(inner_steps, optax.adam(learning_rate)), "instrument": optax.adam(learning_rate)}
    if controls:
        # The released configuration decays these weights, next to a loss summed over rows in the outcome's own units;
        # per row and standardised that decay is nothing.
        transforms["covariate"] = optax.adam(learning_rate)
    return optax.multi_transform(transforms, {name: name for name in transforms})


def dfiv(
    key: Key[Array, ""],
    y: Float[Array, " n"],
    x: Float[Array, "n d"],
    z: Float[Array, "n k"],
    *,
    treatments: int = 1,
    widths: FeatureWidths = FeatureWidths(),  # noqa: B008  (immutable)
    first_penalty: float = 0.1,
    second_penalty: float = 0.1,
    updates: int = 100,
    inner_steps: int = 20,
    learning_rate: float = 1e-3,
) -> NeuralFit:
    """Learn the features on two halves of the rows, then solve both stages in closed form.

    Args:
        key: Of initialisation.
        y: Outcome; rows in random order. With an odd number the last row is not used.
        x: Treatments, then controls.
        z: Instruments, then controls.
        treatments: p, how many columns of ``x`` are treatments.
        widths: Of the three networks.
        first_penalty: lambda_1, per row.
        second_penalty: lambda_2, per row.
        updates: Updates of the treatment's network.
        inner_steps: Updates of the other networks for each of them.
        learning_rate: Of Adam.

    Returns:
        A fit whose ``params`` hold the networks and ``coef``, the second stage's coefficients.

    Source: Xu, Chen, Srinivasan, de Freitas, Doucet, Gretton (2021), "Learning Deep Features in Instrumental Variable
    Regression", ICLR (arXiv 2010.07154), algorithm 1. Differences: the instrument's features are standardised instead
    of batch-normalised, the covariates' are not, and no weights decay; each update evaluates both gradients, though the
    treatment's network uses one in ``inner_steps``.
    """
    data, scaling = standardize(y, x, z)
    half = len(y) // 2
    batch = {
        "x1": data.x[:half],
        "z1": data.z[:half],
        "x2": data.x[half : 2 * half],
        "z2": data.z[half : 2 * half],
        "y2": data.y[half : 2 * half],
    }
    objective = dfiv_objective(widths, treatments, first_penalty, second_penalty)
    optimizer = two_speed_optimizer(learning_rate, inner_steps, x.shape[1] > treatments)
    result = fit(objective, optimizer, batch, key, steps=updates * inner_steps)

    phi, psi, xi = feature_networks(widths)
    params = result.params
    psi1, psi2 = instrument_features(*(psi.apply(params["instrument"], batch[name]) for name in ("z1", "z2")))
    phi1 = phi.apply(params["treatment"], batch["x1"][:, :treatments])
    controls = batch["x2"][:, treatments:]
    covariates = xi.apply(params["covariate"], controls) if controls.shape[1] else None
    features = structural_features(psi2 @ ridge_solution(psi1, phi1, first_penalty), covariates)
    coef = ridge_solution(features, batch["y2"], second_penalty)
    return summarize(result, {**params, "coef": coef}, scaling)


def dfiv_predict(
    found: NeuralFit,
    x: Float[Array, "n d"],
    *,
    treatments: int = 1,
    widths: FeatureWidths = FeatureWidths(),  # noqa: B008
) -> Float[Array, " n"]:
    """The structural function at rows of treatments and controls."""
    phi, _, xi = feature_networks(widths)
    inputs, params = scaled_inputs(found.scaling, x), found.params
    controls = inputs[:, treatments:]
    covariates = xi.apply(params["covariate"], controls) if controls.shape[1] else None
    features = structural_features(phi.apply(params["treatment"], inputs[:, :treatments]), covariates)
    return unscaled_outcome(found.scaling, features @ params["coef"])
