"""Layouts of arrays on the mesh: replicated, split by rows, or (large ones) split along one of their own axes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding with a copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def by_rows(mesh: Mesh, *, stacked: bool = False) -> NamedSharding:
    """The sharding that splits the first axis over the mesh's ``"data"`` axis; with ``stacked``, the second."""
    return NamedSharding(mesh, PartitionSpec(None, "data") if stacked else PartitionSpec("data"))


def state_shardings(shapes: PyTree, mesh: Mesh, *, shard_above: int | None = None, lanes: bool = False) -> PyTree:
    """A sharding for each leaf of a training state.

    Leaves are copied to all devices of the ``"data"`` axis. Above a size they are split over it, along the longest axis
    that the number of devices divides. This is fully sharded data parallelism: parameters, gradients and the
    optimizer's moments of one shape are split alike, and gathered only where they are used.

    Args:
        shapes: The state as ``jax.ShapeDtypeStruct`` leaves.
        mesh: A ``("replica", "data")`` mesh.
        shard_above: Bytes above which a leaf is split; None never splits.
        lanes: Whether every leaf's first axis counts independent fits; it is then split over ``"replica"``.
    """
    size = mesh.shape["data"]

    def one(leaf: jax.ShapeDtypeStruct) -> NamedSharding:
        first = ("replica",) if lanes else ()
        shape = leaf.shape[len(first) :]
        spec: list[str | None] = [None] * len(shape)
        # Random keys have an extended dtype without a byte size of their own; they are never large.
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        if size > 1 and shard_above is not None and not is_key:
            fitting = [axis for axis, length in enumerate(shape) if length % size == 0]
            if fitting and np.prod(shape, dtype=np.int64) * leaf.dtype.itemsize > shard_above:
                spec[max(fitting, key=lambda axis: shape[axis])] = "data"
        while spec and spec[-1] is None:
            spec.pop()
        return NamedSharding(mesh, PartitionSpec(*first, *spec))

    return jax.tree.map(one, shapes)


def place(tree: PyTree, sharding: Any) -> PyTree:
    """Put arrays of which every process holds the whole onto the mesh; each device receives its own part.

    Args:
        tree: NumPy or JAX arrays, random keys included, equal in every process.
        sharding: One sharding for all leaves, or a tree of them.
    """
    if not isinstance(sharding, jax.sharding.Sharding):
        return jax.tree.map(_place, tree, sharding)
    return jax.tree.map(lambda leaf: _place(leaf, sharding), tree)


def _place(leaf: Any, sharding: NamedSharding) -> jax.Array:
    if sharding.is_fully_addressable:
        return jax.device_put(leaf, sharding)
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = _place(jax.random.key_data(leaf), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])


def local_rows(sharding: NamedSharding, rows: int) -> np.ndarray:
    """Indices of the rows of a batch that this process's devices hold, in order.

    >>> import jax
    >>> from causalrep.training import make_mesh
    >>> local_rows(by_rows(make_mesh(devices=jax.devices()[:1])), 3)
    array([0, 1, 2])
    """
    held = sharding.addressable_devices_indices_map((rows,)).values()
    return np.unique(np.concatenate([np.arange(rows)[index] for index in held]))
