"""What checkpoint files cannot hold: random keys become integers, arrays without entries are left out; and back."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from causalrep.parallel.sharding import place


def storable(state: PyTree) -> PyTree:
    """The same tree with the integers of its keys in their place, and None in that of arrays without entries."""

    def one(leaf: jax.Array) -> jax.Array | None:
        if leaf.size == 0:
            return None
        return jax.random.key_data(leaf) if _is_key(leaf) else leaf

    return jax.tree.map(one, state)


def storable_shapes(like: PyTree) -> PyTree:
    """Shapes, dtypes and shardings of :func:`storable`, from those of the tree."""
    return jax.tree.map(_shape, like)


def restored(state: PyTree, like: PyTree) -> PyTree:
    """The tree of which :func:`storable` was taken; ``like`` says what its leaves are."""

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
    found: list[str] = []
    # key_impl takes arrays and tracers, not shapes.
    jax.eval_shape(lambda key: found.append(jax.random.key_impl(key)), shape)
    return found[0]
