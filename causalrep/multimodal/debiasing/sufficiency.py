"""Sufficiency of features for a model's own predictions: how much of them the features alone would give."""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from causalrep.inference.crossfit import stratified_folds
from causalrep.keys import root
from causalrep.training import Objective, fit

FOLDS = 5
STEPS = 300


class Sufficiency(NamedTuple):
    """Usable information about predictions, in nats.

    Attributes:
        ratio: Information of the features over that of all features, within [0, 1].
        features: ``H(prediction) - cross-entropy of a probe of the features``, on held-out rows.
        reference: The same, of all features.
    """

    ratio: Float[Array, ""]
    features: Float[Array, ""]
    reference: Float[Array, ""]


def sufficiency(
    key: Key[Array, ""],
    features: Float[Array, "n k"],
    reference: Float[Array, "n d"],
    predictions: Int[Array, " n"],
    *,
    classes: int,
) -> Sufficiency:
    """How far confounder features suffice for a model's predictions; lower after debiasing is better.

    The paper has a metric of this purpose; its formula was not at hand, and this one is ours: predictive
    V-information (Xu et al. 2020) with V the penalised softmax regressions, cross-fitted in five folds.

    Args:
        key: Of the folds.
        features: Confounder features.
        reference: All features of the model.
        predictions: Its predicted classes.
        classes: How many there are.
    """
    folds = stratified_folds(key, predictions, FOLDS)
    shares = jnp.mean(jax.nn.one_hot(predictions, classes), axis=0)
    entropy = -jnp.sum(jax.scipy.special.xlogy(shares, shares))
    # Columns of zeros count for nothing: with them one program serves both.
    width = max(features.shape[1], reference.shape[1])
    both = jnp.stack([jnp.pad(x, ((0, 0), (0, width - x.shape[1]))) for x in (features, reference)])
    of = entropy - jax.lax.map(lambda x: softmax_loss(x, predictions, folds, classes=classes), both)
    ratio = jnp.where(of[1] > 0, of[0] / jnp.where(of[1] > 0, of[1], 1.0), 0.0)
    return Sufficiency(jnp.clip(ratio, 0.0, 1.0), *of)


def softmax_loss(
    x: Float[Array, "n k"], y: Int[Array, " n"], folds: Int[Array, " n"], *, classes: int, penalty: float = 1e-3
) -> Float[Array, ""]:
    """Cross-fitted cross-entropy of softmax regression on standardised columns, in nats a row.

    Args:
        x: Features; a constant column counts for nothing.
        y: Classes.
        folds: Codes 0 to 4.
        classes: How many.
        penalty: On half the squared slopes, beside the mean loss.
    """
    spread = x.std(0)
    x = (x - x.mean(0)) / jnp.where(spread > 1e-6 * jnp.abs(x).max(0), spread, jnp.inf)
    objective, optimizer = softmax_objective(classes, penalty), _decayed_adam()

    def held_out(fold: Array) -> Array:
        data = {"x": x, "y": y, "w": (folds != fold).astype(x.dtype)}
        found = fit(objective, optimizer, data, root(0), steps=STEPS)
        losses = _losses(found.params, x, y)
        return jnp.sum(jnp.where(folds == fold, losses, 0.0))

    return jnp.sum(jax.lax.map(held_out, jnp.arange(FOLDS))) / len(y)


@lru_cache
def softmax_objective(classes: int, penalty: float) -> Objective:
    """Weighted mean cross-entropy plus ``penalty / 2 |slopes|^2``; batches hold ``x``, ``y`` and weights ``w``."""

    def init(key: jax.Array, batch) -> PyTree:
        return {"slopes": jnp.zeros((batch["x"].shape[1], classes)), "intercepts": jnp.zeros(classes)}

    def loss(params: PyTree, key: jax.Array, batch):
        fit_loss = batch["w"] @ _losses(params, batch["x"], batch["y"]) / batch["w"].sum()
        return fit_loss + 0.5 * penalty * jnp.sum(params["slopes"] ** 2), {}

    return Objective(init, loss)


def _losses(params: PyTree, x: Array, y: Array) -> Array:
    logits = x @ params["slopes"] + params["intercepts"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, y)


@lru_cache
def _decayed_adam() -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(0.1, STEPS))
