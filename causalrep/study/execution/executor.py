"""Computing replications in one of three modes.

* ``loop``: the compiled single replication, called once per replication; several processes share them out.
* ``vmap``: replications in chunks of one fixed size, each chunk one call on one device.
* ``sharded``: the same, with the chunk split over all devices of all hosts along the mesh's ``"replica"`` axis.

The modes give the same numbers up to the last digits, where the order of floating-point additions shows. The default
is ``vmap`` for compiled studies on one device, ``sharded`` on several accelerators or processes, and ``loop`` for
ordinary Python code.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any, Literal, get_args

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from causalrep.arithmetic import ceil_div
from causalrep.base.validation import check_choice, check_counts
from causalrep.errors import InputError
from causalrep.parallel import distributed
from causalrep.parallel.mesh import make_mesh
from causalrep.parallel.sharding import place as shard
from causalrep.parallel.sharding import replicated
from causalrep.study.execution.cell_program import CellProgram, cell_program, check_columns, flatten_metrics
from causalrep.study.execution.chunks import Chunk, budget_of, even_chunk, first_chunk, memory_of, operations_of
from causalrep.study.execution.placement import place
from causalrep.study.execution.workspace import Workspaces
from causalrep.study.plan import Columns, Study

Mode = Literal["auto", "loop", "vmap", "sharded"]

# Measured on two CPU cores, microseconds per replication, as loop, vmap of 32, of 128, of 512: two-stage least
# squares with 3 instruments, n=500: 1072, 275, 126, 210; n=5000: 2174, 997, 1168, 1250. A network fit of
# 200 steps: loop 2638, vmap of 32 3286, so such studies may prefer mode="loop". Accelerators: not measured.
LOOP_PARTS = 16


class Executor:
    """Computes any range of replications of any cell of one study, in one mode.

    In a run of several processes every process calls the same methods in the same order and gets the same results.

    Args:
        study: The study; its precision is decided here if it is still open.
        mode: ``"loop"``, ``"vmap"``, ``"sharded"`` or ``"auto"``.
        chunk: Replications per call; default from the program's memory and a fixed budget.
        workspaces: Folders for the replications of a study with ``spread=True``.
        count_operations: Read the compiled programs' text to count floating-point operations.

    Attributes:
        mode: ``"loop"``, ``"vmap"`` or ``"sharded"``.
        devices: The devices that the mode uses, of all hosts.
        compute_seconds: Seconds spent in calls, without compilation.
        counts_operations: Whether floating-point operations are counted.
        flops: Floating-point operations in those calls over all devices, if they are counted.
        flops_exact: Whether that count is complete; if not, it is a lower bound.
        study: The study, with its precision decided.
    """

    def __init__(
        self,
        study: Study,
        mode: Mode = "auto",
        chunk: int | None = None,
        workspaces: Workspaces | None = None,
        *,
        count_operations: bool = False,
    ):
        check_counts(chunk=chunk)
        self.study = place(study).study
        self.processes = jax.process_count()
        self.compute_seconds, self.flops, self.flops_exact = 0.0, 0.0, True
        self._chunk, self.counts_operations = None if chunk is None else int(chunk), count_operations
        self._workspaces = workspaces or Workspaces()
        self._chunks: dict[CellProgram, Chunk] = {}
        self._operations: dict[tuple[CellProgram, int], tuple[float | None, bool]] = {}
        self._compiled_before: dict[CellProgram, float] = {}
        devices = _devices(self.study.precision)
        self.mode = _choose_mode(mode, self.study, devices)
        # A loop runs on one device of each process.
        own = [device for device in devices if device.process_index == jax.process_index()]
        self.devices = tuple(devices) if self.mode == "sharded" or study.spread else (own[0],)

    @property
    def compile_seconds(self) -> float:
        """Seconds of compilation, over all programs that this executor has used."""
        return sum((program.compile_seconds - before for program, before in self._compiled_before.items()), 0.0)

    @property
    def label(self) -> str:
        """What the last digits may depend on besides the chunk: platform, mode and number of devices."""
        return f"{self.devices[0].platform}-{self.mode}-{len(self.devices)}"

    def chunk(self, cell: int) -> Chunk:
        """The chunk of a cell: as asked, or from fixed budgets and the memory that its compiled program needs."""
        replications, count = self.study.replications, len(self.devices)
        if self.study.spread:
            return Chunk(1, "one long fit at a time")
        if self.mode == "loop":
            # A chunk of a loop only says how often work is saved: sixteen times per cell.
            size = min(self._chunk or max(ceil_div(replications, LOOP_PARTS), self.processes), replications)
            return Chunk(size, "as asked" if self._chunk else f"a loop, saved {LOOP_PARTS} times per cell")
        if self._chunk is not None:
            return Chunk(count * ceil_div(min(self._chunk, replications), count), "as asked")
        with self._context():
            program = self._program(cell)
            if program not in self._chunks:
                self._chunks[program] = self._largest_chunk(cell, program)
            return self._chunks[program]

    def compute(self, cell: int, start: int, stop: int) -> tuple[Columns, np.ndarray]:
        """Compute replications ``start..stop-1`` of a cell.

        Returns:
            The (method, metric) pairs and a float64 array (stop - start, pairs).
        """
        with self._context():
            if not self.study.compiled:
                return self._compute_python(cell, start, stop)
            program = self._program(cell)
            compute = self._compute_loop if self.mode == "loop" else self._compute_batch
            values = compute(cell, program, start, stop)
            return program.columns, values[: stop - start]

    def _compute_python(self, cell: int, start: int, stop: int) -> tuple[Columns, np.ndarray]:
        with self._timed():
            if self.study.spread:
                # Every process works on every replication.
                return self._call_replicate(cell, list(range(start, stop)))
            columns, rows = self._call_replicate(cell, self._share(start, stop))
            # The rows of the processes are joined next, which takes equally long ones.
            check_columns(columns, tuple(map(tuple, distributed.agree(columns))), f"process {jax.process_index()}")
            return columns, distributed.gather_rows(rows)[: stop - start]

    def _compute_loop(self, cell: int, program: CellProgram, start: int, stop: int) -> np.ndarray:
        replications = np.asarray(self._share(start, stop), np.uint32)
        calls = [self._arguments(cell, replication) for replication in replications]
        compiled = program.executable("loop", 0, self.devices, *calls[0])
        self._count(program, 0, compiled, calls=len(calls) * self.processes)
        with self._timed():
            results = [compiled(*arguments) for arguments in calls]
            return distributed.gather_rows(np.asarray(jax.device_get(results), np.float64))

    def _compute_batch(self, cell: int, program: CellProgram, start: int, stop: int) -> np.ndarray:
        # Padding repeats the last replication, so that one shape serves every chunk.
        size = self.chunk(cell).size
        replications = np.minimum(np.arange(start, start + size), stop - 1).astype(np.uint32)
        arguments = self._arguments(cell, replications)
        compiled = program.executable(self.mode, size, self.devices, *arguments)
        self._count(program, size, compiled, calls=1)
        with self._timed():
            return np.asarray(distributed.gather(compiled(*arguments)), np.float64)

    def _largest_chunk(self, cell: int, program: CellProgram) -> Chunk:
        """The largest chunk, up to a fixed number, whose compiled program stays within a fixed budget of memory."""
        replications, count = self.study.replications, len(self.devices)
        kind = "cpu" if self.devices[0].platform == "cpu" else "accelerator"
        budget, largest = budget_of(kind)
        each = program.replication_bytes(*self._arguments(cell, np.uint32(0)))
        size, by_memory = first_chunk(each, replications, count, kind)
        while True:
            arguments = self._arguments(cell, np.arange(size, dtype=np.uint32))
            needed = memory_of(program.executable(self.mode, size, self.devices, *arguments))
            if needed <= budget or size == count:
                break
            # The compiler pads and copies, so the program may need more than the jaxpr says. Scale the lanes of each
            # device by budget / needed, and take at least one lane off.
            lanes = max(1, min(size // count - 1, size // count * budget // needed))
            size, by_memory = even_chunk(lanes, replications, count), True
        if by_memory:
            need, allowed, bound = (size_in_bytes / 2**20 for size_in_bytes in (needed, budget, each))
            why = (
                f"memory: the compiled program needs {need:,.0f} MiB of the {allowed:,.0f} MiB allowed on each device; "
                f"about {bound:,.0f} MiB for one replication"
            )
        elif size >= replications:
            why = "all replications of a cell"
        else:
            why = f"at most {largest} on each device"
        return Chunk(size, why, by_memory, needed)

    def _share(self, start: int, stop: int) -> list[int]:
        """This process's replications of ``start..stop-1``: equally many each, the last one repeated as padding."""
        each = ceil_div(stop - start, self.processes)
        first = start + jax.process_index() * each
        return [min(replication, stop - 1) for replication in range(first, first + each)]

    def _call_replicate(self, cell: int, replications: list[int]) -> tuple[Columns, np.ndarray]:
        """Run ``replicate`` as ordinary Python."""
        cell_key, rows, columns = self.study.cell_key(cell), [], None
        for replication in replications:
            arguments: tuple[Any, ...] = (jax.random.fold_in(cell_key, replication), dict(self.study.settings[cell]))
            if self.study.spread:
                arguments = (*arguments, self._workspaces.of(cell, replication))
            names, values = flatten_metrics(self.study.replicate(*arguments), np.shape)
            columns = columns or names
            check_columns(names, columns, f"replication {replication}")
            rows.append([float(value) for value in values])
        return columns or (), np.asarray(rows, np.float64)

    def _program(self, cell: int) -> CellProgram:
        program = cell_program(self.study, cell)
        # Another study may have compiled it already: only what this executor adds is its own time.
        self._compiled_before.setdefault(program, program.compile_seconds)
        return program

    def _arguments(self, cell: int, replications: np.ndarray | np.uint32) -> tuple:
        arguments = (self.study.cell_key(cell), replications, self.study.traced_values(cell))
        if self.mode != "sharded":
            return jax.device_put(arguments, self.devices[0])
        mesh = make_mesh(devices=self.devices)
        everywhere = replicated(mesh)
        split = NamedSharding(mesh, PartitionSpec("replica") if np.ndim(replications) else PartitionSpec())
        key, numbers, traced = arguments
        return shard(key, everywhere), shard(numbers, split), shard(traced, everywhere)

    def _count(self, program: CellProgram, size: int, compiled: jax.stages.Compiled, calls: int) -> None:
        """Add the operations of some calls to ``flops``, if they are counted; ``size`` is the chunk's, 0 in a loop."""
        if not self.counts_operations:
            return
        if (program, size) not in self._operations:
            self._operations[program, size] = operations_of(compiled)
        each, complete = self._operations[program, size]
        self.flops += (each or 0.0) * calls * len(self.devices)
        self.flops_exact &= complete

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.compute_seconds += time.perf_counter() - began

    def _context(self) -> contextlib.AbstractContextManager:
        return jax.enable_x64(self.study.precision != "float32")


def _choose_mode(mode: Mode, study: Study, devices: list[jax.Device]) -> Literal["loop", "vmap", "sharded"]:
    """The mode asked for, if the study and the devices allow it; ``"auto"`` decided by both."""
    check_choice("mode", mode, get_args(Mode))
    processes = jax.process_count()
    if not study.compiled and mode not in ("auto", "loop"):
        raise InputError("mode", found=repr(mode), expected="'loop' or 'auto', since the study has compiled=False")
    if mode == "vmap" and processes > 1:
        raise InputError(
            "mode",
            found=f"'vmap', which uses one device, in a run of {processes} processes",
            expected="'sharded', 'loop' or 'auto'",
        )
    # Processors of several hosts beside accelerators make no common mesh: each process loops over its share.
    apart = processes > 1 and devices[0].platform != jax.devices()[0].platform
    if apart and mode == "sharded":
        raise InputError(
            "mode",
            found=f"'sharded' for float64 on the processors of {processes} hosts with accelerators",
            expected="'loop' or 'auto'",
        )
    if mode != "auto":
        return mode
    if not study.compiled or apart:
        return "loop"
    # Several CPU devices of one process are virtual and share its cores: nothing is gained by splitting over them.
    several = processes > 1 or (len(devices) > 1 and devices[0].platform != "cpu")
    return "sharded" if several else "vmap"


def _devices(precision: str) -> list[jax.Device]:
    on_host = precision == "host" and jax.default_backend() != "cpu"
    return jax.local_devices(backend="cpu") if on_host else jax.devices()
