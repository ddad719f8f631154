"""The compiled programs of a long fit on a mesh: its first state, a chunk of steps, and its result."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from causalrep.aot.programs import Program
from causalrep.errors import InputError
from causalrep.keys import root
from causalrep.parallel.distributed import barrier
from causalrep.parallel.sharding import by_rows, replicated, state_shardings
from causalrep.training.loop import FitResult, Loop, LoopState, count_rows, make_loop
from causalrep.training.objective import Batch, Objective, SVIObjective
from causalrep.training.observe import Stopwatch


class ChunkPrograms:
    """The compiled programs of a loop on a mesh.

    Args:
        loop: The loop.
        mesh: A ``("replica", "data")`` mesh.
        lanes: Whether several fits train at once; every leaf of the state then has a first axis over fits.
        shard_above: Bytes above which a leaf of the state is split over ``"data"``.
    """

    def __init__(self, loop: Loop, mesh: Mesh, lanes: bool, shard_above: int | None):
        self.loop, self.mesh, self.lanes, self.shard_above = loop, mesh, lanes, shard_above
        self.key_sharding = NamedSharding(mesh, PartitionSpec("replica") if lanes else PartitionSpec())
        self._start = jax.vmap(self._begin, (0, None), spmd_axis_name="replica") if lanes else self._begin
        self._advance = self._observed_advance
        if lanes:
            self._advance = jax.vmap(self._advance, (0, None, None, None), spmd_axis_name="replica")
        self._shardings: Any = None
        self._compiled: dict[Any, Any] = {}

    def state_shapes(self, key: jax.Array, example: Batch) -> LoopState:
        """Shapes of the state, with its shardings on the mesh; call it before the other methods."""
        shapes = jax.eval_shape(self._start, key, example)
        self._shardings = state_shardings(shapes, self.mesh, shard_above=self.shard_above, lanes=self.lanes)
        return jax.tree.map(
            lambda shape, sharding: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding),
            shapes,
            self._shardings,
        )

    def start(self, key: jax.Array, example: Batch) -> LoopState:
        """The first state, created with its final shardings."""
        return jax.jit(self._start, out_shardings=self._shardings)(key, example)

    def chunk(self) -> jax.stages.Wrapped:
        """The program of a chunk: ``(state, step numbers, rows, validation) -> (state, (history, status))``."""
        everywhere = replicated(self.mesh)
        fed = by_rows(self.mesh, stacked=True) if self.loop.rows is None else everywhere
        return jax.jit(
            self._advance,
            in_shardings=(self._shardings, everywhere, fed, everywhere),
            out_shardings=(self._shardings, everywhere),
            donate_argnums=0,
        )

    def advance(self, count: int, state: Any, numbers: Any, rows: Any, validation: Any, watch: Stopwatch) -> Any:
        """The compiled program of ``count`` steps."""
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves((state, rows, validation)))
        if (count, shapes) not in self._compiled:
            with watch.compiling():
                self._compiled[count, shapes] = self.chunk().lower(state, numbers, rows, validation).compile()
            # Hosts compile at different speeds, and a collective does not wait forever for the slowest.
            jax.block_until_ready(state)
            barrier("compiled")
        watch.flops(lambda: self._step_flops(state, rows, validation))
        return self._compiled[count, shapes]

    def result(self, state: LoopState, history: Mapping[str, np.ndarray]) -> FitResult:
        """The fit's result, with the parameters on the mesh and everything else on the host."""
        losses = history["validation"]
        shown = {name: values for name, values in history.items() if name != "validation"}
        watched = self.loop.eval_every

        def scalars(last: LoopState) -> FitResult:
            return self.loop.result(last, {}, jnp.zeros((*losses.shape[:-1], 0)))._replace(params=None)

        result = jax.jit(scalars, out_shardings=replicated(self.mesh))(state)
        return jax.tree.map(on_host, result)._replace(
            params=state.best if watched else state.params,
            history=shown,
            # The history has an entry per step; the loss was computed at every eval_every-th.
            validation=losses[..., watched - 1 :: watched] if watched else losses[..., :0],
        )

    def _begin(self, key: jax.Array, example: Batch) -> LoopState:
        return self.loop.start(key, jax.tree.map(lambda leaf: leaf[: self.loop.batch_size], example))

    def _observed_advance(self, state: LoopState, numbers: jax.Array, rows: Batch, validation: Batch | None) -> Any:
        state, history, losses = self.loop.advance(state, numbers, rows, validation)
        status = {
            "going": self.loop.going(state),
            "bad_step": state.bad_step,
            "updates": state.updates,
            "best_loss": state.best_loss,
        }
        return state, ({**history, "validation": losses}, status)

    def _step_flops(self, state: LoopState, rows: Batch, validation: Batch | None) -> float | None:
        """Floating-point operations of one update of every fit, without evaluations.

        The count is the compiler's own, for the program before it is optimized or divided over devices.
        """
        bare = dataclasses.replace(self.loop, eval_every=None, patience=None)
        one = rows if self.loop.rows is not None else jax.tree.map(lambda leaf: leaf[:1], rows)
        advance = jax.vmap(bare.advance, (0, None, None, None)) if self.lanes else bare.advance
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), (state, one))
        number = jax.ShapeDtypeStruct((1,), jnp.int32)
        cost = jax.jit(advance).lower(shapes[0], number, shapes[1], None).cost_analysis()
        return float(cost["flops"]) if cost and cost.get("flops", 0) > 0 else None


@functools.lru_cache(maxsize=16)
def chunk_programs(loop: Loop, mesh: Mesh, lanes: bool, shard_above: int | None) -> ChunkPrograms:
    """The programs of a loop on a mesh; the most recently used ones are kept."""
    return ChunkPrograms(loop, mesh, lanes, shard_above)


def training_program(
    name: str,
    objective: Objective | SVIObjective,
    optimizer: optax.GradientTransformation,
    example: Batch,
    *,
    steps: int = 10,
    batch_size: int | None = None,
    validation: Batch | None = None,
    accumulate: int = 1,
    shard_above: int | None = None,
) -> Program:
    """The program of a chunk of :func:`causalrep.training.train`, to compile ahead of time.

    Args:
        name: Name in the report.
        objective: As for ``train``.
        optimizer: As for ``train``.
        example: A batch of a loader as ``jax.ShapeDtypeStruct`` leaves, with its rows over all devices; or, with
            ``batch_size``, all rows, held on every device.
        steps: Number of steps of the chunk.
        batch_size: Rows per step, over all devices, that the program draws from all rows; default the loader's batch.
        validation: A validation batch as ``jax.ShapeDtypeStruct`` leaves; the chunk evaluates it once.
        accumulate: As for ``train``.
        shard_above: As for ``train``. Without it the only collective is the all-reduce of the gradients; with it,
            parameters are gathered and gradients scattered as well.
    """
    rows = count_rows("example", example)
    loop = functools.partial(
        make_loop,
        objective,
        optimizer,
        steps=steps,
        rows=None if batch_size is None else rows,
        batch_size=batch_size or rows,
        validation=validation,
        eval_every=None if validation is None else steps,
        patience=None,
        accumulate=accumulate,
    )

    def on(mesh: Mesh) -> tuple[ChunkPrograms, LoopState]:
        own = loop(batch_sharding=by_rows(mesh))
        check_mesh(mesh, own.batch_size, accumulate, None)
        programs = chunk_programs(own, mesh, False, shard_above)
        return programs, programs.state_shapes(jax.eval_shape(lambda: root(0)), example)

    def arguments(mesh: Mesh) -> tuple:
        fed = (
            example
            if batch_size is not None
            else jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((steps, *leaf.shape), leaf.dtype), example)
        )
        return on(mesh)[1], jax.ShapeDtypeStruct((steps,), jnp.int32), fed, validation

    split = ("all-gather", "reduce-scatter", "all-to-all", "collective-permute") if shard_above is not None else ()
    return Program(name, lambda mesh: on(mesh)[0].chunk(), arguments, ("all-reduce", *split), replica=1)


def check_mesh(mesh: Mesh, batch_size: int, accumulate: int, lanes: int | None) -> None:
    """Refuse a mesh whose axes do not divide the batch and the number of fits.

    Raises:
        InputError: If the batch, a part of it, or the number of fits is not a multiple of its axis.
    """
    replica, data = mesh.shape["replica"], mesh.shape["data"]
    part = batch_size // accumulate
    if part % data:
        of = "batch_size" if accumulate == 1 else "batch_size / accumulate"
        raise InputError(of, found=part, expected=f"a multiple of the mesh's data axis, {data}")
    if lanes is not None and lanes % replica:
        raise InputError("key", found=f"{lanes} keys", expected=f"a multiple of the mesh's replica axis, {replica}")
    if lanes is None and replica > 1:
        raise InputError(
            "mesh", found=f"a replica axis of {replica} for one key", expected="make_mesh(replica=1), or as many keys"
        )


def on_host(leaf: jax.Array) -> np.ndarray:
    """A replicated array as a NumPy array, from the copy on a local device."""
    return np.asarray(leaf.addressable_data(0) if isinstance(leaf, jax.Array) else leaf)
