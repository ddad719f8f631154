"""Classifiers of images, which judge counterfactual ones."""

from collections.abc import Callable
from functools import lru_cache

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from causalrep.nn.images.image_codec import ImageEncoder
from causalrep.training import Objective, fit
from causalrep.training.optimizers import adam

EVALUATIONS = 5


def train_classifier(
    key: Key[Array, ""],
    x: Float[Array, "n height width channels"],
    label: Int[Array, " n"],
    *,
    classes: int = 10,
    steps: int = 2000,
    batch_size: int = 256,
) -> Callable[[Float[Array, "n height width channels"]], Int[Array, " n"]]:
    """A classifier trained by cross-entropy; a tenth of the images chooses its parameters.

    Args:
        key: Random key.
        x: Images.
        label: Their classes, from 0.
        classes: Number of outputs, at least the number of classes; two classifiers with the same number share a
            compiled program.
        steps: Updates.
        batch_size: Images per step.
    """
    order_key, fit_key = jax.random.split(key)
    order, held_out = jax.random.permutation(order_key, len(x)), len(x) // 10
    rows = {"x": jnp.asarray(x)[order], "label": jnp.asarray(label)[order]}
    result = fit(
        _cross_entropy(classes),
        adam(1e-3),
        jax.tree.map(lambda a: a[held_out:], rows),
        fit_key,
        steps=steps,
        batch_size=min(batch_size, len(x) - held_out),
        validation=jax.tree.map(lambda a: a[:held_out], rows),
        eval_every=steps // EVALUATIONS,
    )
    return jax.jit(lambda images: jnp.argmax(ImageEncoder(classes).apply(result.params, images), axis=1))


@lru_cache
def _cross_entropy(classes: int) -> Objective:
    network = ImageEncoder(classes)

    def loss(params, key, batch):
        logits = network.apply(params, batch["x"])
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])), {}

    return Objective(lambda key, batch: network.init(key, batch["x"][:1]), loss)
