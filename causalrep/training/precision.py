"""Objectives that compute in lower precision, or store fewer intermediate values."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from causalrep.base.validation import check_choice
from causalrep.errors import InputError
from causalrep.training.objective import Batch, Objective, Params

_POLICIES = {
    "nothing": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_saveable,
    "dots_without_batch": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


def mixed_precision(objective: Objective, dtype: Any = jnp.bfloat16) -> Objective:
    """The objective computed in ``dtype``, with parameters, gradients, losses and metrics in float32.

    Floating-point leaves of the parameters and the batch are cast before they enter the loss. The loss itself should
    sum in float32, since a ``mean`` in bfloat16 keeps three digits.

    Args:
        objective: The objective.
        dtype: ``jnp.bfloat16``, or ``jnp.float16``, whose gradients may underflow.
    """
    if jnp.dtype(dtype) not in (jnp.dtype(jnp.bfloat16), jnp.dtype(jnp.float16)):
        raise InputError("dtype", found=jnp.dtype(dtype).name, expected="bfloat16 or float16")

    def loss(params: Params, key: jax.Array, batch: Batch) -> tuple[jax.Array, Mapping[str, jax.Array]]:
        value, metrics = objective.loss(_cast(params, dtype), key, _cast(batch, dtype))
        return value.astype(jnp.float32), {name: shown.astype(jnp.float32) for name, shown in metrics.items()}

    return Objective(objective.init, loss)


def rematerialised(objective: Objective, policy: str | Callable = "dots") -> Objective:
    """The objective with intermediate values recomputed in the backward pass instead of stored.

    Args:
        objective: The objective.
        policy: The values that are stored: ``"nothing"``, ``"dots"`` (results of matrix products),
            ``"dots_without_batch"``, or any of ``jax.checkpoint_policies``.
    """
    if isinstance(policy, str):
        check_choice("policy", policy, tuple(_POLICIES))
        policy = _POLICIES[policy]
    return Objective(objective.init, jax.checkpoint(objective.loss, policy=policy))


def _cast(tree: Any, dtype: Any) -> Any:
    return jax.tree.map(
        lambda leaf: leaf.astype(dtype) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating) else leaf, tree
    )
