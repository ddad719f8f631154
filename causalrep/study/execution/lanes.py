"""One replication, made a program over many: the function that runs, and that is compiled for a pod beforehand."""

from collections.abc import Callable
from typing import Any, Literal

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

# Arguments of a replication: the cell's key, the replication's number, the cell's traced fields.
LANES = (PartitionSpec(), PartitionSpec("replica"), PartitionSpec())


def over_replications(
    one: Callable[[jax.Array, jax.Array, Any], jax.Array],
    mode: Literal["loop", "vmap", "sharded"],
    mesh: Mesh | None = None,
) -> jax.stages.Wrapped:
    """The jitted program of a chunk of replications.

    Sharded, every device runs the vmapped replication on its own lanes under ``shard_map``, so that the program
    holds no collective whatever the replication computes. Leaving the split to the compiler does not give that:
    it gathers the operands of factorisations onto every device, and joins the exits of data-dependent loops (282
    all-gathers and 45 all-reduces in one IVL replication compiled for a TPU v5e:4x4).

    Args:
        one: ``(cell_key, replication, traced) -> values``.
        mode: ``"loop"`` takes one replication number, the others a vector of them.
        mesh: For ``"sharded"``: a mesh with an axis ``"replica"``, of real or of abstract devices.

    Returns:
        A jitted function of the same three arguments.
    """
    if mode == "loop":
        return jax.jit(one)
    batched = jax.vmap(one, in_axes=(None, 0, None))
    if mode == "vmap":
        return jax.jit(batched)
    # Nothing here is replicated over the axis but the inputs, so there is no replication to check.
    local = jax.shard_map(batched, mesh=mesh, in_specs=LANES, out_specs=LANES[1], check_vma=False)
    key, replications, traced = (NamedSharding(mesh, spec) for spec in LANES)
    return jax.jit(local, in_shardings=(key, replications, traced), out_shardings=replications)
