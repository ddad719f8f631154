"""Conversion of what checkpoint files cannot hold: random keys become integers, empty arrays are left out."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from causalrep.parallel.sharding import place


def storable(state: PyTree) -> PyTree:
    """The tree with the integers of its random keys instead of the keys, and None instead of empty arrays."""

    def one(leaf: jax.Array) -> jax.Array | None:
        if leaf.size == 0:
            return None
        return jax.random.key_data(leaf) if _is_key(leaf) else leaf

    return jax.tree.map(one, state)


def storable_shapes(like: PyTree) -> PyTree:
    """Shapes, dtypes and shardings of ``storable(tree)``, from those of the tree."""
    return jax.tree.map(_shape, like)


def restored(state: PyTree, like: PyTree) -> PyTree:
    """The inverse of :func:`storable`; ``like`` holds the shapes, dtypes and shardings of the tree."""

    def one(leaf: jax.Array | None, shape: jax.ShapeDtypeStruct | None) -> jax.Array | None:
        if shape is None:
            return None
        if leaf is None:
            return place(np.zeros(shape.shape, shape.dtype), shape.sharding)
        return jax.random.wrap_key_data(leaf, impl=_implementation(shape)) if _is_key(shape) else leaf

    return jax.tree.map(one, state, like, is_leaf=lambda leaf: leaf is None)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _shape(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct | None:
    if leaf.size == 0:
        return None
    if not _is_key(leaf):
        return leaf
    data = jax.eval_shape(jax.random.key_data, leaf)
    return jax.ShapeDtypeStruct(data.shape, data.dtype, sharding=leaf.sharding)


def _implementation(shape: jax.ShapeDtypeStruct) -> str:
    names: list[str] = []
    # key_impl takes arrays and tracers, not shapes.
    jax.eval_shape(lambda key: names.append(jax.random.key_impl(key)), shape)
    return names[0]
