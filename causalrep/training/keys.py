"""Typed random keys as the plain integers that files hold, and back."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree


def without_keys(state: PyTree) -> PyTree:
    """The same tree with the integers of its keys in their place."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, state)


def shapes_without_keys(like: PyTree) -> PyTree:
    """Shapes, dtypes and shardings of :func:`without_keys`, from those of the tree."""
    return jax.tree.map(_shape, like)


def with_keys(state: PyTree, like: PyTree) -> PyTree:
    """The tree of which :func:`without_keys` was taken; ``like`` says where its keys are and of which kind."""

    def one(leaf: jax.Array, shape: jax.ShapeDtypeStruct) -> jax.Array:
        return jax.random.wrap_key_data(leaf, impl=_implementation(shape)) if _is_key(shape) else leaf

    return jax.tree.map(one, state, like)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _shape(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    if not _is_key(leaf):
        return leaf
    data = jax.eval_shape(jax.random.key_data, leaf)
    return jax.ShapeDtypeStruct(data.shape, data.dtype, sharding=leaf.sharding)


def _implementation(shape: jax.ShapeDtypeStruct) -> str:
    found: list[str] = []
    # key_impl takes arrays and tracers, not shapes.
    jax.eval_shape(lambda key: found.append(jax.random.key_impl(key)), shape)
    return found[0]
