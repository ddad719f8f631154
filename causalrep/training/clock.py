"""Objectives that change during training: a weight that rises, or a warm start before the real loss.

The training loop needs no support for this. The number of updates is a leaf of the parameters, and the optimizer adds
one to it at each step, so it is kept in checkpoints, batched by ``vmap`` and masked by early stopping like any other.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from causalrep.training.objective import Batch, Objective, Params

Init = Callable[[jax.Array, Batch], Params]
ClockedLoss = Callable[[Params, jax.Array, Batch, jax.Array], tuple[jax.Array, Mapping[str, jax.Array]]]


def clocked(init: Init, loss: ClockedLoss) -> Objective:
    """An objective whose loss also gets the number of updates made so far.

    Its parameters are ``{"networks": params, "updates": count}``; train it with :func:`ticking`.

    Args:
        init: ``(key, batch) -> params``.
        loss: ``(params, key, batch, updates) -> (scalar, metrics)``; ``updates`` is a float32 scalar.
    """

    def clocked_init(key: jax.Array, batch: Batch) -> dict[str, Any]:
        return {"networks": init(key, batch), "updates": jnp.zeros((), jnp.float32)}

    def clocked_loss(params: dict[str, Any], key: jax.Array, batch: Batch):
        return loss(params["networks"], key, batch, jax.lax.stop_gradient(params["updates"]))

    return Objective(clocked_init, clocked_loss)


def ticking(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """``optimizer`` for the networks of a :func:`clocked` objective; the count of updates grows by one per step."""
    tick = optax.stateless(lambda updates, params: jax.tree.map(jnp.ones_like, updates))
    return optax.partition({"networks": optimizer, "updates": tick}, {"networks": "networks", "updates": "updates"})
