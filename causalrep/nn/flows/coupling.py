"""Affine coupling (RealNVP, Dinh et al. 2017): one step for all flows here, and a flow of such blocks for ILD's mixing.

A block of that flow leaves the first half ``a`` of its input unchanged and maps the second half ``b`` to
``b exp(tanh s(a)) + t(a)``, with s and t from one network; the halves are exchanged after each block. The bound on log
scales is ours: without it a few blocks in a row send some rows to infinity. Inverse and log-determinant are exact.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from causalrep.errors import InputError

HIDDEN = 64


def affine_step(
    moved: Float[Array, "... h"], log_scale: Float[Array, "... h"], shift: Float[Array, "... h"]
) -> tuple[Float[Array, "... h"], Float[Array, "..."]]:
    """``moved exp(log_scale) + shift``, and the logarithm of the determinant of its Jacobian."""
    return moved * jnp.exp(log_scale) + shift, jnp.sum(log_scale, axis=-1)


def inverse_affine_step(
    moved: Float[Array, "... h"], log_scale: Float[Array, "... h"], shift: Float[Array, "... h"]
) -> tuple[Float[Array, "... h"], Float[Array, "..."]]:
    """The inverse of :func:`affine_step`, and the logarithm of the determinant of the inverse's Jacobian."""
    return (moved - shift) * jnp.exp(-log_scale), -jnp.sum(log_scale, axis=-1)


class FlowMixing(NamedTuple):
    """Weights of all blocks, stacked along the first axis: networks m/2 -> 64 -> 64 -> m with leaky ReLUs.

    Attributes:
        first: Weights (blocks, m/2, 64).
        first_shift: Biases (blocks, 64).
        second: Weights (blocks, 64, 64).
        second_shift: Biases (blocks, 64).
        last: Weights (blocks, 64, m); its first m/2 outputs are s.
        last_shift: Biases (blocks, m).
    """

    first: Float[Array, "blocks h 64"]
    first_shift: Float[Array, "blocks 64"]
    second: Float[Array, "blocks 64 64"]
    second_shift: Float[Array, "blocks 64"]
    last: Float[Array, "blocks 64 m"]
    last_shift: Float[Array, "blocks m"]


def init_flow(key: Key[Array, ""], latents: int, depth: int, spread: float = 0.0) -> FlowMixing:
    """Random hidden layers; the last one is zero, so that the flow starts as a permutation of its input.

    Args:
        key: Random key.
        latents: m, even.
        depth: Number of blocks.
        spread: Standard deviation of the last layer's outputs, approximately; 0 as in flow libraries.
    """
    if latents % 2:
        raise InputError("latents", found=str(latents), expected="an even number, so that it has halves")
    half = latents // 2
    sizes = ((half, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, latents))
    scales = (1.0, 1.0, spread)
    weights = [
        scale * jnp.sqrt(2.0 / rows) * jax.random.normal(own, (depth, rows, columns))
        for own, scale, (rows, columns) in zip(jax.random.split(key, 3), scales, sizes, strict=True)
    ]
    biases = [jnp.zeros((depth, columns)) for _, columns in sizes]
    return FlowMixing(*(array for pair in zip(weights, biases, strict=True) for array in pair))


def flow_forward(flow: FlowMixing, z: Float[Array, "... m"]) -> tuple[Float[Array, "... m"], Float[Array, "..."]]:
    """``g(z)`` and the logarithm of the determinant of its Jacobian."""

    def block(carry, weights):
        x, log_det = carry
        kept, moved = jnp.split(x, 2, axis=-1)
        moved, own = affine_step(moved, *_network(weights, kept))
        return (jnp.concatenate([moved, kept], axis=-1), log_det + own), None

    return jax.lax.scan(block, (z, jnp.zeros(z.shape[:-1], z.dtype)), flow)[0]


def flow_inverse(flow: FlowMixing, x: Float[Array, "... m"]) -> tuple[Float[Array, "... m"], Float[Array, "..."]]:
    """``g^{-1}(x)`` and the logarithm of the determinant of its Jacobian."""

    def block(carry, weights):
        x, log_det = carry
        moved, kept = jnp.split(x, 2, axis=-1)
        moved, own = inverse_affine_step(moved, *_network(weights, kept))
        return (jnp.concatenate([kept, moved], axis=-1), log_det + own), None

    return jax.lax.scan(block, (x, jnp.zeros(x.shape[:-1], x.dtype)), flow, reverse=True)[0]


def _network(weights: FlowMixing, a: Float[Array, "... h"]) -> tuple[Float[Array, "... h"], Float[Array, "... h"]]:
    hidden = jax.nn.leaky_relu(a @ weights.first + weights.first_shift)
    hidden = jax.nn.leaky_relu(hidden @ weights.second + weights.second_shift)
    log_scale, shift = jnp.split(hidden @ weights.last + weights.last_shift, 2, axis=-1)
    return jnp.tanh(log_scale), shift
