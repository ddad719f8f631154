"""Long fits: the steps of :func:`causalrep.training.fit` on any mesh, with checkpoints and observers."""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from causalrep.base.validation import check_counts
from causalrep.errors import DivergenceError, InputError
from causalrep.fingerprint import contents, tree_contents
from causalrep.parallel.distributed import Preempted, Preemption, is_main, preemption
from causalrep.parallel.mesh import make_mesh
from causalrep.parallel.sharding import by_rows, place, replicated
from causalrep.training.checkpoints.store import Checkpoints, Store
from causalrep.training.feed import Feed, make_feed
from causalrep.training.loader import GrainLoader
from causalrep.training.loop import FitResult, Loop, LoopState, count_rows, make_loop
from causalrep.training.objective import Batch, Objective, SVIObjective
from causalrep.training.observe import Observer, Stopwatch, last_finite
from causalrep.training.programs import ChunkPrograms, check_mesh, chunk_programs, on_host

ARRAY_CHUNK, LOADER_CHUNK = 100, 10


def train(
    objective: Objective | SVIObjective,
    optimizer: optax.GradientTransformation,
    data: Batch | GrainLoader,
    key: jax.Array,
    *,
    steps: int,
    batch_size: int | None = None,
    validation: Batch | None = None,
    eval_every: int | None = None,
    patience: int | None = None,
    accumulate: int = 1,
    mesh: Mesh | None = None,
    shard_above: int | None = None,
    chunk: int | None = None,
    checkpoints: Checkpoints | None = None,
    config: Mapping[str, Any] | None = None,
    observers: Sequence[Observer] = (),
    profile: Path | str | None = None,
) -> FitResult:
    """Minimize an objective in chunks of steps, each one compiled program; a killed fit continues from its checkpoint.

    The result does not depend on the length of the chunks, nor on where a fit was killed and resumed. The mesh changes
    only the last digits, through the order of sums over devices. On one device the result equals that of
    :func:`~causalrep.training.fit`.

    Args:
        objective: The objective.
        optimizer: Any optax optimizer.
        data: A pytree of arrays whose first axis is the sample, held on every device; or a
            :class:`~causalrep.training.GrainLoader`, from which each process reads only its own rows.
        key: Random key. An array of R keys trains R independent fits at once, spread over the mesh's ``"replica"``
            axis; R must be a multiple of that axis, and every leaf of the result has a first axis R.
        steps: Number of updates.
        batch_size: Rows per step over all devices, a multiple of the ``"data"`` axis; default all rows. A loader
            brings its own.
        validation: A batch whose loss, with one fixed key, selects the best parameters.
        eval_every: Steps between evaluations; default one epoch, or with a loader all steps. It must divide ``steps``.
        patience: Evaluations without improvement after which the fit stops; default never.
        accumulate: As in :func:`~causalrep.training.fit`.
        mesh: Devices; default all of them, along ``"data"``, or along ``"replica"`` for an array of keys.
        shard_above: Bytes above which a parameter and its optimizer state are split over the ``"data"`` axis instead of
            copied; None copies all.
        chunk: Steps per program. Between two programs a checkpoint may be written, observers are called and a request
            to stop is heard. Default 100, or with a loader 10. On a CPU, XLA's convolutions are ten times slower inside
            a loop (measured, jax 0.10.2): use :class:`causalrep.nn.Conv` there, or choose 1.
        checkpoints: Where and how often to save; a fit whose folder holds checkpoints resumes from the newest.
        config: Plain values that describe the fit; a checkpoint with another config is refused.
        observers: Called on process 0 with a :class:`~causalrep.training.Progress` after each chunk. However the fit
            ends, the ``close()`` of each observer that has one is called.
        profile: Folder for a trace of the second and third chunk, to be opened with TensorBoard or Perfetto.

    Raises:
        InputError: If sizes are impossible or do not fit the mesh, or the loss or one of its metrics is no scalar.
        CheckpointError: If a checkpoint belongs to another fit, or cannot be written.
        DivergenceError: If a loss or gradient is not finite; for an array of keys, if this happens in every fit.
        Preempted: After SIGTERM, once the state is saved; uncaught, the process exits with code 75.
    """
    lanes = _count_lanes(key)
    mesh = mesh or (make_mesh(replica=1) if lanes is None else make_mesh(data=1))
    if set(mesh.axis_names) != {"replica", "data"}:
        raise InputError("mesh", found=f"axes {mesh.axis_names}", expected="('replica', 'data'), as from make_mesh")
    rows = None
    if isinstance(data, GrainLoader):
        if batch_size not in (None, data.batch_size):
            raise InputError("batch_size", found=batch_size, expected=f"None, or the loader's {data.batch_size}")
        batch_size = data.batch_size
        check_counts(steps=steps)
        if steps > len(data):
            raise InputError("steps", found=steps, expected=f"at most the loader's {len(data)} batches; see .repeat()")
    else:
        rows = count_rows("data", data)
        batch_size = rows if batch_size is None else batch_size
    check_counts(chunk=chunk, shard_above=shard_above)
    loop = make_loop(
        objective,
        optimizer,
        steps=steps,
        rows=rows,
        batch_size=batch_size,
        validation=validation,
        eval_every=eval_every,
        patience=patience,
        accumulate=accumulate,
        batch_sharding=by_rows(mesh),
    )
    steps, batch_size = int(steps), loop.batch_size
    check_mesh(mesh, batch_size, loop.accumulate, lanes)
    programs = chunk_programs(loop, mesh, lanes is not None, shard_above)
    feed = make_feed(data, mesh)
    on_mesh = place(key, programs.key_sharding)
    like = programs.state_shapes(on_mesh, feed.example)
    run = _Run(loop, programs, feed, place(validation, replicated(mesh)), steps, config or {})
    with contextlib.ExitStack() as stack:
        store = None
        if checkpoints is not None:
            identity = _identity(loop, key, config) | {"data": feed.contents(), "validation": tree_contents(validation)}
            store = stack.enter_context(Store(checkpoints, identity, like))
        for observer in observers if is_main() else ():
            if hasattr(observer, "close"):
                stack.callback(observer.close)
        stop = stack.enter_context(preemption())
        restored = store.restore() if store is not None else None
        if store is None or restored is None:
            state, first = programs.start(on_mesh, feed.example), 0
        else:
            if restored.step > steps:
                raise InputError("steps", found=steps, expected=f"at least {restored.step}, as far as {store.place} is")
            state, first = restored.state, restored.step
            run.history = [restored.history] if restored.history else []
        chunk = min(int(chunk or 0) or (LOADER_CHUNK if rows is None else ARRAY_CHUNK), steps)
        counts = [min(chunk, steps - step) for step in range(first, steps, chunk)]
        watch = Stopwatch(observers if is_main() else (), batch_size, lanes or 1)
        state = run.chunks(state, first, counts, store, stop, watch, stack.enter_context(_Trace(profile)))
        return programs.result(state, run.padded())


@dataclasses.dataclass
class _Run:
    """The steps of one call of :func:`train`, with the history on the host."""

    loop: Loop
    programs: ChunkPrograms
    feed: Feed
    validation: Batch | None
    steps: int
    config: Mapping[str, Any]
    history: list[dict[str, np.ndarray]] = dataclasses.field(default_factory=list)
    status: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def chunks(
        self,
        state: LoopState,
        step: int,
        counts: list[int],
        store: Store | None,
        stop: Preemption,
        watch: Stopwatch,
        trace: "_Trace",
    ) -> LoopState:
        """Take all steps from ``step`` on; save, observe and stop between chunks."""
        watch.begin()
        unread = None
        for count, rows in zip(counts, self.feed.chunks(counts, step), strict=True):
            numbers = place(np.arange(step, step + count, dtype=np.int32), replicated(self.programs.mesh))
            advance = self.programs.advance(count, state, numbers, rows, self.validation, watch)
            trace.next_chunk()
            with jax.transfer_guard("disallow"):
                state, observed = advance(state, numbers, rows, self.validation)
            step += count
            # The devices work on this chunk while the host reads the history of the one before it.
            if unread is not None:
                self._observe(*unread, watch)
            unread = (step, observed)
            stopping = stop.agreed()
            if store is not None and (stopping or step == self.steps or store.due(step)):
                self._observe(*unread, watch)
                unread = None
                self._check_finite(store)
                store.save(step, state, self._joined(), self._validation_loss())
            if stopping and step < self.steps:
                if store is not None:
                    store.wait()
                raise Preempted
            if self.status and not np.any(self.status["going"]):
                break
        if unread is not None:
            self._observe(*unread, watch)
        self._check_finite(store)
        return state

    def _observe(self, step: int, observed: Any, watch: Stopwatch) -> None:
        shown, status = jax.tree.map(on_host, observed)
        self.history.append(shown)
        self.status = status
        watch.chunk(step, self.steps, shown, status)

    def _check_finite(self, store: Store | None) -> None:
        if self.status and np.all(self.status["bad_step"] >= 0):
            step = int(np.min(self.status["bad_step"]))
            good, kept = None if store is None else store.latest(), "none was saved"
            if store is not None and good is not None:
                kept = f"the checkpoint at step {good} in {store.place} is good"
            config = ", ".join(f"{name}={value!r}" for name, value in self.config.items())
            raise DivergenceError(
                f"the loss or its gradient was not finite at step {step} of {self.steps}; {kept}. A smaller learning "
                "rate, or clipped gradients (optax.clip_by_global_norm), is the usual cure."
                + (f" Config: {config}." if config else ""),
                step=step,
            )

    def _joined(self) -> dict[str, np.ndarray]:
        if not self.history:
            return {}
        joined = {name: np.concatenate([part[name] for part in self.history], -1) for name in self.history[0]}
        self.history = [joined]
        return joined

    def padded(self) -> dict[str, np.ndarray]:
        # If all fits have stopped early, the history is NaN from there on, as it is in one scan.
        def pad(values: np.ndarray) -> np.ndarray:
            absent = [(0, 0)] * (values.ndim - 1) + [(0, self.steps - values.shape[-1])]
            return np.pad(values, absent, constant_values=np.nan)

        return {name: pad(values) for name, values in self._joined().items()}

    def _validation_loss(self) -> float | None:
        """The latest validation loss, averaged over fits; None before the first evaluation."""
        return last_finite(self._joined()["validation"]) if self.loop.eval_every else None


class _Trace(contextlib.ExitStack):
    """A trace of the second and third chunk, since the first one also compiles."""

    def __init__(self, folder: Path | str | None):
        super().__init__()
        # The working directory may change before the second chunk.
        self._folder, self._number = None if folder is None else Path(folder).absolute(), 0

    def next_chunk(self) -> None:
        """Note the start of another chunk."""
        self._number += 1
        if self._folder is not None and is_main() and self._number == 2:
            self.enter_context(jax.profiler.trace(str(self._folder)))
        if self._number == 4:
            self.close()


def _identity(loop: Loop, key: jax.Array, config: Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings that must not change between a checkpoint and the fit that resumes from it."""
    data = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return {
        "config": dict(config or {}),
        "key": np.asarray(data).tolist(),
        "batch_size": loop.batch_size,
        "rows": loop.rows,
        "accumulate": loop.accumulate,
        "eval_every": loop.eval_every,
        "patience": loop.patience,
        # A learning rate is a number that a function of the optimizer has captured.
        "optimizer": contents(loop.optimizer),
        "objective": contents(loop.objective),
    }


def _count_lanes(key: jax.Array) -> int | None:
    """The number of keys, or None for a single key; an old-style key has an axis of its own for its words."""
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    axes = key.ndim - (0 if typed else 1)
    if axes not in (0, 1):
        raise InputError("key", found=f"an array of shape {key.shape}", expected="one key, or a vector of keys")
    return None if axes == 0 else key.shape[0]
