"""Optimizers that several methods use, each built once per setting.

:func:`causalrep.training.fit` keeps its compiled program for the identical optimizer object, so a method must not build
a new one in every call.
"""

from collections.abc import Callable
from functools import lru_cache

import optax
from jaxtyping import PyTree


@lru_cache
def adam(
    learning_rate: float,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    weight_decay: float | None = None,
    decayed: Callable[[PyTree], PyTree] | None = None,
    clip: float | None = None,
    cosine_steps: int | None = None,
    floor: float = 0.0,
    decay: float | None = None,
    decay_every: int = 100,
) -> optax.GradientTransformation:
    """Adam, or AdamW with ``weight_decay``; the same object for the same arguments.

    Args:
        learning_rate: Learning rate, the first one if it decays.
        b1: Decay rate of the mean of the gradients.
        b2: Decay rate of the mean of their squares.
        weight_decay: Decoupled weight decay; None is plain Adam.
        decayed: A function of the parameters that marks the leaves with weight decay; default all.
        clip: Largest global norm of the gradients; larger ones are scaled down to it.
        cosine_steps: Let the learning rate fall along a cosine over so many updates.
        floor: Where the cosine ends, as a share of ``learning_rate``.
        decay: Multiply the learning rate by this every ``decay_every`` updates.
        decay_every: Updates between two decays.
    """
    rate: float | optax.Schedule = learning_rate
    if cosine_steps is not None:
        rate = optax.cosine_decay_schedule(learning_rate, cosine_steps, alpha=floor)
    elif decay is not None:
        rate = optax.exponential_decay(learning_rate, decay_every, decay, staircase=True)
    if weight_decay is None:
        optimizer = optax.adam(rate, b1=b1, b2=b2)
    else:
        optimizer = optax.adamw(rate, b1=b1, b2=b2, weight_decay=weight_decay, mask=decayed)
    return optimizer if clip is None else optax.chain(optax.clip_by_global_norm(clip), optimizer)
