"""Layers, initializers and penalties that the networks for effects share."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from causalrep.nn import MLP, trained_mlp

Initializer = Callable[..., jax.Array]


def fan_in_normal(scale: float) -> Initializer:
    """Normal weights of standard deviation ``scale / sqrt(fan_in)``."""
    return nn.initializers.variance_scaling(scale**2, "fan_in", "normal")


def features(widths: Sequence[int], kernel_init: Initializer, name: str) -> MLP:
    """ELU layers, including the last one."""
    return trained_mlp(widths, nn.elu, activate_final=True, kernel_init=kernel_init, name=name)


def head(widths: Sequence[int], kernel_init: Initializer, name: str) -> MLP:
    """ELU layers and a linear one of width 1."""
    return trained_mlp((*widths, 1), nn.elu, kernel_init=kernel_init, name=name)


def unit_rows(x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Rows divided by their Euclidean norm; a row of zeros stays zero, with a finite gradient."""
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x**2, axis=-1, keepdims=True), 1e-10))


def squared_weights(params: PyTree, modules: Sequence[str] | None = None) -> Float[Array, ""]:
    """Sum of squared kernels, without biases, in the named modules; in the whole network by default."""
    chosen = params["params"] if modules is None else [params["params"][module] for module in modules]
    leaves = jax.tree_util.tree_leaves_with_path(chosen)
    return sum(jnp.sum(leaf**2) for path, leaf in leaves if path[-1].key == "kernel")
