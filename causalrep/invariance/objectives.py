"""Training objectives that ask for one predictor in several environments: IRM, REx, group DRO, RICE.

Each function returns an :class:`~causalrep.training.Objective`, to be minimized by :func:`causalrep.training.fit` on a
batch, a mapping with

* ``x`` (n, ...) inputs and ``y`` (n,) outcomes,
* ``environment`` (n,) integer labels in 0..environments-1 (all but :func:`empirical_risk` and :func:`rice`),
* ``transformed`` (n, t, ...), t transformed copies of each input (:func:`rice` alone),
* ``weight`` (n,), optional: a row of weight zero is left out.

An environment without rows in the mini-batch is left out of that step. The losses take one number per row: pass
:func:`squared_error` for an outcome on the real line, :func:`logistic` for a model of the logit of a 0/1 outcome.
"""

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from causalrep.training import Objective

PointLoss = Callable[[Float[Array, ""], Float[Array, ""]], Float[Array, ""]]


class Model(Protocol):
    """The interface of a flax module: ``init`` gives parameters, ``apply`` predictions (n,) or (n, 1)."""

    def init(self, key: jax.Array, x: Float[Array, "n ..."]) -> Any:
        """Parameters from a random key and inputs."""

    def apply(self, params: Any, x: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
        """Predictions from parameters and inputs."""


def squared_error(prediction: Float[Array, "*n"], y: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """``(prediction - y)^2``."""
    return jnp.square(prediction - y)


def logistic(prediction: Float[Array, "*n"], y: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Cross-entropy of a 0/1 outcome, where the prediction is its logit."""
    return optax.sigmoid_binary_cross_entropy(prediction, y)


def predict(model: Model, params: Any, x: Float[Array, "n ..."]) -> Float[Array, " n"]:
    """The model's predictions as a vector."""
    return model.apply(params, x).reshape(x.shape[0])


def empirical_risk(model: Model, loss: PointLoss = squared_error) -> Objective:
    """Empirical risk minimization: the mean loss over all rows; environments are ignored."""

    def total(params, key, batch):
        del key
        losses = loss(predict(model, params, batch["x"]), batch["y"])
        return _mean(losses, _weight(batch)), {}

    return _objective(model, total)


def irm(
    model: Model, *, environments: int, penalty: Float[Array, ""] | float, loss: PointLoss = squared_error
) -> Objective:
    """Invariant risk minimization (IRMv1): ``mean_e [R_e + penalty (d/dw R_e(w f) at w = 1)^2]``.

    The derivative is zero where no rescaling of the predictor lowers the risk of the environment.

    Args:
        model: The predictor f.
        environments: Number of labels; not all need occur.
        penalty: Weight of the squared derivative; may be traced.
        loss: Loss of one prediction.

    Source: Arjovsky, Bottou, Gulrajani, Lopez-Paz, "Invariant Risk Minimization" (arXiv 1907.02893), section 3; the
    mean over environments, as in the IVL paper's comparison.
    """
    slope = jax.vmap(jax.grad(lambda scale, prediction, y: loss(scale * prediction, y)), in_axes=(None, 0, 0))

    def total(params, key, batch):
        del key
        predictions, y = predict(model, params, batch["x"]), batch["y"]
        risks, present = environment_risks(loss(predictions, y), batch, environments)
        slopes, _ = environment_risks(slope(jnp.ones((), predictions.dtype), predictions, y), batch, environments)
        return _mean(risks + penalty * jnp.square(slopes), present), {}

    return _objective(model, total)


def v_rex(
    model: Model, *, environments: int, penalty: Float[Array, ""] | float, loss: PointLoss = squared_error
) -> Objective:
    """Variance risk extrapolation: ``sum_e R_e + penalty Var_e(R_e)`` with the unbiased variance.

    See :func:`irm` for the arguments.

    Source: Krueger et al., "Out-of-Distribution Generalization via Risk Extrapolation" (arXiv 2003.00688), equation 8.
    """

    def total(params, key, batch):
        del key
        risks, present = environment_risks(loss(predict(model, params, batch["x"]), batch["y"]), batch, environments)
        count = jnp.sum(present)
        deviations = jnp.square(risks - _mean(risks, present)) * present
        return jnp.sum(risks * present) + penalty * jnp.sum(deviations) / jnp.maximum(count - 1.0, 1.0), {}

    return _objective(model, total)


def mm_rex(
    model: Model, *, environments: int, penalty: Float[Array, ""] | float, loss: PointLoss = squared_error
) -> Objective:
    """Minimax risk extrapolation: ``(1 - m penalty) max_e R_e + penalty sum_e R_e`` for m environments in the batch.

    If m times the penalty is below 1 it is the largest risk shrunk towards the mean. Above 1 the largest risk enters
    with a negative sign and the objective is unbounded below: with one environment per row and penalties near 1 it
    diverges.

    See :func:`irm` for the arguments.

    Source: Krueger et al. (arXiv 2003.00688), equation 7.
    """

    def total(params, key, batch):
        del key
        risks, present = environment_risks(loss(predict(model, params, batch["x"]), batch["y"]), batch, environments)
        largest = jnp.max(jnp.where(present > 0, risks, -jnp.inf))
        return (1.0 - jnp.sum(present) * penalty) * largest + penalty * jnp.sum(risks * present), {}

    return _objective(model, total)


def group_dro(model: Model, *, environments: int, loss: PointLoss = squared_error) -> Objective:
    """Group distributionally robust optimization: the largest environment's risk of each mini-batch.

    See :func:`irm` for the arguments.

    Source: Sagawa, Koh, Hashimoto, Liang, "Distributionally Robust Neural Networks for Group Shifts" (arXiv
    1911.08731), equation 4, without their running weights: the maximum itself, as in the IVL paper's comparison.
    """

    def total(params, key, batch):
        del key
        risks, present = environment_risks(loss(predict(model, params, batch["x"]), batch["y"]), batch, environments)
        return jnp.max(jnp.where(present > 0, risks, -jnp.inf)), {}

    return _objective(model, total)


def rice(
    model: Model,
    *,
    penalty: Float[Array, ""] | float,
    loss: PointLoss = squared_error,
    link: Callable[[jax.Array], jax.Array] | None = None,
) -> Objective:
    """Invariance to known transformations: ``R + penalty mean_i max_t (f(x_i) - f(T_t x_i))^2``.

    Args:
        model: The predictor f.
        penalty: Weight of the largest change; may be traced.
        loss: Loss of one prediction.
        link: Function of the predictions that is compared, ``jax.nn.sigmoid`` for logits; default the identity.

    Source: Wang, Yi, Chen, Zhu, "Out-of-distribution Generalization with Causal Invariant Transformations" (CVPR 2022,
    arXiv 2203.11528), equation 9.
    """

    def total(params, key, batch):
        del key
        x, transformed, weight = batch["x"], batch["transformed"], _weight(batch)
        predictions = predict(model, params, x)
        copies = predict(model, params, transformed.reshape(-1, *x.shape[1:])).reshape(transformed.shape[:2])
        shown, moved = (predictions, copies) if link is None else (link(predictions), link(copies))
        change = jnp.max(jnp.square(shown[:, None] - moved), axis=1)
        return _mean(loss(predictions, batch["y"]) + penalty * change, weight), {}

    return _objective(model, total)


def environment_risks(
    losses: Float[Array, " n"], batch: dict[str, Array], environments: int
) -> tuple[Float[Array, " e"], Float[Array, " e"]]:
    """Mean loss of each environment, and 1 for environments with a row of positive weight, else 0.

    Args:
        losses: One loss per row (n,).
        batch: Holds ``environment`` (n,) and optionally ``weight`` (n,).
        environments: Number of labels e.
    """
    weight, label = _weight(batch).astype(losses.dtype), batch["environment"]
    mass = jax.ops.segment_sum(weight, label, environments)
    total = jax.ops.segment_sum(weight * losses, label, environments)
    present = mass > 0
    return total / jnp.where(present, mass, 1.0), present.astype(losses.dtype)


def _objective(model: Model, loss: Callable) -> Objective:
    return Objective(lambda key, batch: model.init(key, batch["x"]), loss)


def _weight(batch: dict[str, Array]) -> Float[Array, " n"]:
    return batch["weight"] if "weight" in batch else jnp.ones(batch["y"].shape[0], batch["y"].dtype)


def _mean(values: Float[Array, " n"], weight: Float[Array, " n"] | Int[Array, " n"]) -> Float[Array, ""]:
    mass = jnp.sum(weight)
    return jnp.sum(values * weight) / jnp.where(mass > 0, mass, 1.0)
