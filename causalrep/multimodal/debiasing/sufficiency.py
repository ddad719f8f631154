"""Sufficiency of features for a model's own predictions: the share of them that the features alone determine."""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from causalrep.inference.crossfit import stratified_folds
from causalrep.keys import root
from causalrep.training import Objective, fit
from causalrep.training.optimizers import adam

FOLDS = 5
STEPS = 300


class Sufficiency(NamedTuple):
    """Usable information about predictions, in nats.

    Attributes:
        ratio: Information of the features over that of all features, within [0, 1].
        features: ``H(prediction) - cross-entropy of a probe of the features``, on held-out rows.
        reference: The same for all features.
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
    """Sufficiency of confounder features for a model's predictions; lower after debiasing is better.

    The paper has a metric for this purpose, whose formula was not available. This one is ours: predictive V-information
    (Xu et al. 2020) with V the penalized softmax regressions, cross-fitted in five folds.

    Args:
        key: Random key of the folds.
        features: Confounder features.
        reference: All features of the model.
        predictions: Predicted classes of the model.
        classes: Number of classes.
    """
    folds = stratified_folds(key, predictions, FOLDS)
    shares = jnp.mean(jax.nn.one_hot(predictions, classes), axis=0)
    entropy = -jnp.sum(jax.scipy.special.xlogy(shares, shares))
    # Columns of zeros carry no information; with them one compiled program serves both.
    width = max(features.shape[1], reference.shape[1])
    both = jnp.stack([jnp.pad(x, ((0, 0), (0, width - x.shape[1]))) for x in (features, reference)])
    information = entropy - jax.lax.map(lambda x: softmax_loss(x, predictions, folds, classes=classes), both)
    some, total = information
    ratio = jnp.where(total > 0, some / jnp.where(total > 0, total, 1.0), 0.0)
    return Sufficiency(jnp.clip(ratio, 0.0, 1.0), some, total)


def softmax_loss(
    x: Float[Array, "n k"], y: Int[Array, " n"], folds: Int[Array, " n"], *, classes: int, penalty: float = 1e-3
) -> Float[Array, ""]:
    """Cross-fitted cross-entropy of softmax regression on standardized columns, in nats per row.

    Args:
        x: Features; constant columns are ignored.
        y: Classes.
        folds: Codes 0 to 4.
        classes: Number of classes.
        penalty: Weight of half the squared slopes, relative to the mean loss.
    """
    spread = x.std(0)
    # A constant up to rounding is divided by infinity.
    x = (x - x.mean(0)) / jnp.where(spread > 1e-6 * jnp.abs(x).max(0), spread, jnp.inf)
    objective, optimizer = softmax_objective(classes, penalty), adam(0.1, cosine_steps=STEPS)

    def held_out(fold: Array) -> Array:
        data = {"x": x, "y": y, "w": (folds != fold).astype(x.dtype)}
        result = fit(objective, optimizer, data, root(0), steps=STEPS)
        losses = _losses(result.params, x, y)
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
