"""Running replications: one compiled program for each set of static fields, in one of three modes.

* ``loop``: the compiled single replication, called once per replication; several processes share them out.
* ``vmap``: replications in chunks of one fixed size, each chunk one call on one device.
* ``sharded``: the same, with the chunk split over all devices of all hosts along the mesh's ``"replica"`` axis.

The modes give the same numbers to the last digits that floating-point addition allows. The default is
``vmap`` for compiled studies on one device, ``sharded`` on several accelerators or processes, and ``loop`` for host
code.
"""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from causalrep.base.validation import check_choice
from causalrep.errors import InputError
from causalrep.parallel import distributed
from causalrep.parallel.mesh import make_mesh
from causalrep.study.execution.chunks import Chunk, Cost, budget_of, cost_of, even_chunk, first_chunk, peak_bytes
from causalrep.study.execution.lanes import over_replications
from causalrep.study.execution.placement import place
from causalrep.study.execution.workspace import Workspaces
from causalrep.study.plan import Replicate, Scalar, Study

Mode = Literal["auto", "loop", "vmap", "sharded"]
Columns = tuple[tuple[str, str], ...]

# Measured on two CPU cores, microseconds a replication, as loop, vmap of 32, of 128, of 512: two-stage least
# squares with 3 instruments, n=500: 1072, 275, 126, 210; n=5000: 2174, 997, 1168, 1250. A network fit of
# 200 steps: loop 2638, vmap of 32 3286, so such studies may prefer mode="loop". Accelerators: not measured.
LOOP_PARTS = 16

PROGRAMS_KEPT = 64


class Program:
    """One replication at fixed static fields, compiled for a mode and chunk on first use."""

    def __init__(
        self,
        replicate: Replicate,
        static: tuple[tuple[str, Scalar], ...],
        precision: str,
        full_products: bool = False,
    ):
        self._replicate, self._static = replicate, dict(static)
        self._dtype = jnp.float32 if precision == "float32" else jnp.float64
        self._full_products = full_products
        self._compiled: dict[tuple[str, int, Any], jax.stages.Compiled] = {}
        self._costs: dict[tuple[str, int, Any], Cost] = {}
        self.single = jax.jit(self._one)
        self.columns: Columns = ()
        self.compile_seconds = 0.0

    def _one(self, cell_key: jax.Array, replication: jax.Array, traced: Mapping[str, jax.Array]) -> jax.Array:
        key = jax.random.fold_in(cell_key, replication)
        products = "highest" if self._full_products else jax.config.jax_default_matmul_precision
        with jax.default_matmul_precision(products):
            metrics = self._replicate(key, {**self._static, **traced})
        # Names are known while tracing; dictionaries would come back from jit with sorted keys.
        self.columns, values = flatten_metrics(metrics, jnp.shape)
        return jnp.stack([jnp.asarray(value).astype(self._dtype) for value in values])

    def replication_bytes(self, *arguments: Any) -> int:
        """Most bytes one replication keeps at a time, from its lines and without compiling."""
        return peak_bytes(self.single.trace(*arguments).jaxpr.jaxpr)

    def executable(
        self, mode: str, chunk: int, devices: tuple[jax.Device, ...], *arguments: Any
    ) -> jax.stages.Compiled:
        """The program compiled ahead of time for these shapes; adds to ``compile_seconds``."""
        cached = self._compiled.get((mode, chunk, devices))
        if cached is None:
            start = time.perf_counter()
            mesh = make_mesh(devices=devices) if mode == "sharded" else None
            jitted = over_replications(self.single, mode, mesh)
            cached = jitted.lower(*arguments).compile()
            self._compiled[mode, chunk, devices] = cached
            self.compile_seconds += time.perf_counter() - start
        return cached

    def cost(self, mode: str, chunk: int, devices: tuple[jax.Device, ...], *arguments: Any) -> Cost:
        """What the compiler says of one call of :meth:`executable`."""
        key = (mode, chunk, devices)
        if key not in self._costs:
            self._costs[key] = cost_of(self.executable(mode, chunk, devices, *arguments))
        return self._costs[key]


@functools.lru_cache(maxsize=PROGRAMS_KEPT)
def program(replicate: Replicate, static: tuple, traced: tuple, precision: str, full_products: bool = False) -> Program:
    """The program of a replicate function at static fields; the most recently used ones are kept."""
    del traced  # part of the identity: the same field may be static in one study and traced in another
    return Program(replicate, static, precision, full_products)


def cell_program(study: Study, cell: int) -> Program:
    """The program of one cell of a study whose precision is decided."""
    return program(study.replicate, study.static_values(cell), study.traced, study.precision, study.full_products)


class Executor:
    """Computes any range of replications of any cell of one study, in one mode.

    In a run of several processes every process calls the same methods in the same order and has the same results.

    Attributes:
        mode: ``"loop"``, ``"vmap"`` or ``"sharded"``.
        devices: The devices the mode uses, of all hosts.
        compute_seconds: Time spent in calls, without compilation.
        flops: The compiler's count of the operations in those calls, over all devices.
        flops_exact: Whether that count is complete; if not, it is a lower bound.
        study: The study, with its precision decided.
    """

    def __init__(
        self,
        study: Study,
        mode: Mode = "auto",
        chunk: int | None = None,
        workspaces: Workspaces | None = None,
    ):
        check_choice("mode", mode, get_args(Mode))
        if chunk is not None and (isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1):
            raise InputError("chunk", found=repr(chunk), expected="a whole number of at least 1, or None")
        if not study.compiled and mode not in ("auto", "loop"):
            raise InputError("mode", found=repr(mode), expected="'loop' or 'auto', since the study has compiled=False")
        self.study = study = place(study).study
        self._workspaces = workspaces or Workspaces()
        self.processes = jax.process_count()
        if mode == "vmap" and self.processes > 1:
            raise InputError(
                "mode",
                found=f"'vmap', which uses one device, in a run of {self.processes} processes",
                expected="'sharded', 'loop' or 'auto'",
            )
        self.compute_seconds, self.flops, self.flops_exact = 0.0, 0.0, True
        self._chunk = chunk
        self._chunks: dict[Program, Chunk] = {}
        self._compiled_before: dict[Program, float] = {}
        devices = _devices(study.precision)
        # Processors of several hosts beside accelerators make no common mesh: each loops over its share.
        apart = self.processes > 1 and devices[0].platform != jax.devices()[0].platform
        if apart and mode == "sharded":
            raise InputError(
                "mode",
                found=f"'sharded' for float64 on the processors of {self.processes} hosts with accelerators",
                expected="'loop' or 'auto'",
            )
        if mode == "auto":
            if not study.compiled or apart:
                mode = "loop"
            else:
                several = self.processes > 1 or (len(devices) > 1 and devices[0].platform != "cpu")
                mode = "sharded" if several else "vmap"
        self.mode = mode
        # A loop runs on one device of each process.
        own = [device for device in devices if device.process_index == jax.process_index()]
        self.devices = tuple(devices) if mode == "sharded" or study.spread else (own[0],)

    @property
    def compile_seconds(self) -> float:
        """Seconds of compilation, over all programs this executor used."""
        return sum((prog.compile_seconds - before for prog, before in self._compiled_before.items()), 0.0)

    @property
    def label(self) -> str:
        """What the last digits may depend on beside the chunk: platform, mode and number of devices."""
        return f"{self.devices[0].platform}-{self.mode}-{len(self.devices)}"

    def chunk(self, cell: int) -> Chunk:
        """The chunk of a cell: as asked, or from fixed budgets and the memory its compiled program needs."""
        replications, count = self.study.replications, len(self.devices)
        if self.study.spread:
            return Chunk(1, "one long fit at a time")
        if self.mode == "loop":
            # Chunks of a loop only say how often work is saved: sixteen times a cell.
            size = min(self._chunk or max(-(-replications // LOOP_PARTS), self.processes), replications)
            return Chunk(size, "as asked" if self._chunk else f"a loop, saved {LOOP_PARTS} times a cell")
        if self._chunk is not None:
            return Chunk(-(-min(self._chunk, replications) // count) * count, "as asked")
        with self._context():
            prog = self._program(cell)
            if prog not in self._chunks:
                self._chunks[prog] = self._fitting(cell, prog)
            return self._chunks[prog]

    def _fitting(self, cell: int, prog: Program) -> Chunk:
        """The largest chunk, up to a fixed number, whose compiled program stays within a fixed budget of memory."""
        replications, count = self.study.replications, len(self.devices)
        kind = "cpu" if self.devices[0].platform == "cpu" else "accelerator"
        budget, largest = budget_of(kind)
        each = prog.replication_bytes(*self._arguments(cell, np.uint32(0)))
        size, by_memory = first_chunk(each, replications, count, kind)
        while True:
            cost = prog.cost(self.mode, size, self.devices, *self._arguments(cell, np.arange(size, dtype=np.uint32)))
            if cost.bytes <= budget or size == count:
                break
            # The compiler pads and copies, so it may need more than its lines do.
            lanes = max(1, min(size // count - 1, size // count * budget // cost.bytes))
            size, by_memory = even_chunk(lanes, replications, count), True
        if by_memory:
            need, allowed = cost.bytes / 2**20, budget / 2**20
            bound = each / 2**20
            why = (
                f"memory: the compiled program needs {need:,.0f} MiB of the {allowed:,.0f} MiB allowed on each device; "
                f"about {bound:,.0f} MiB for one replication"
            )
        elif size >= replications:
            why = "all replications of a cell"
        else:
            why = f"at most {largest} on each device"
        return Chunk(size, why, by_memory, cost)

    def compute(self, cell: int, start: int, stop: int) -> tuple[Columns, np.ndarray]:
        """Replications ``start..stop-1`` of a cell.

        Returns:
            The (method, metric) pairs and a float64 array (stop - start, pairs).
        """
        with self._context():
            if not self.study.compiled:
                began = time.perf_counter()
                if self.study.spread:
                    columns, values = self._host(cell, list(range(start, stop)))
                else:
                    columns, rows = self._host(cell, self._share(start, stop))
                    values = distributed.gather_rows(rows)[: stop - start]
                self.compute_seconds += time.perf_counter() - began
                return columns, values
            prog = self._program(cell)
            if self.mode == "loop":
                lanes, size = np.asarray(self._share(start, stop), np.uint32), 0
                calls = [self._arguments(cell, lane) for lane in lanes]
            else:
                # Padding repeats the last replication, so one shape serves every chunk.
                size = self.chunk(cell).size
                lanes = np.minimum(np.arange(start, start + size), stop - 1).astype(np.uint32)
                calls = [self._arguments(cell, lanes)]
            run = prog.executable(self.mode, size, self.devices, *calls[0])
            cost = prog.cost(self.mode, size, self.devices, *calls[0])
            began = time.perf_counter()
            results = [run(*arguments) for arguments in calls]
            if self.mode == "loop":
                values = distributed.gather_rows(np.asarray(jax.device_get(results), np.float64))
            else:
                values = np.asarray(distributed.gather(results[0]), np.float64)
            self.compute_seconds += time.perf_counter() - began
            self.flops += (cost.flops or 0.0) * len(calls) * len(self.devices) * (self.processes if size == 0 else 1)
            self.flops_exact &= cost.exact
            return prog.columns, values[: stop - start]

    def _share(self, start: int, stop: int) -> list[int]:
        """This process's replications of ``start..stop-1``: equally many each, the last one repeated as padding."""
        each = -(-(stop - start) // self.processes)
        first = start + jax.process_index() * each
        return [min(replication, stop - 1) for replication in range(first, first + each)]

    def _host(self, cell: int, replications: list[int]) -> tuple[Columns, np.ndarray]:
        cell_key, rows, columns = self.study.cell_key(cell), [], None
        for replication in replications:
            key = jax.random.fold_in(cell_key, replication)
            given = (key, dict(self.study.settings[cell]))
            if self.study.spread:
                given = (*given, self._workspaces.of(cell, replication))
            found, values = flatten_metrics(self.study.replicate(*given), np.shape)
            if columns is not None and found != columns:
                raise InputError(
                    "replicate",
                    found=f"{_listed(found)} in replication {replication}",
                    expected=f"the methods and metrics of the replication before: {_listed(columns)}",
                )
            columns = found
            rows.append([float(value) for value in values])
        return columns or (), np.asarray(rows, np.float64)

    def _program(self, cell: int) -> Program:
        study = self.study
        prog = cell_program(study, cell)
        self._compiled_before.setdefault(prog, prog.compile_seconds)
        return prog

    def _arguments(self, cell: int, replications: np.ndarray | np.uint32) -> tuple:
        arguments = (self.study.cell_key(cell), replications, self.study.traced_values(cell))
        if self.mode != "sharded":
            return jax.device_put(arguments, self.devices[0])
        mesh = make_mesh(devices=self.devices)
        everywhere = NamedSharding(mesh, PartitionSpec())
        split = NamedSharding(mesh, PartitionSpec("replica") if np.ndim(replications) else PartitionSpec())
        return distributed.put(arguments, (everywhere, split, everywhere))

    def _context(self):
        return jax.enable_x64(self.study.precision != "float32")


def flatten_metrics(metrics: Any, shape: Callable[[Any], tuple[int, ...]]) -> tuple[Columns, list[Any]]:
    """``{method: {metric: scalar}}`` as pairs of names and a list of values, in the author's order."""
    expected = "{method: {metric: scalar}}"
    if not isinstance(metrics, Mapping) or not metrics:
        raise InputError("replicate", found=f"a return value {type(metrics).__name__}", expected=expected)
    columns, values = [], []
    for method, scores in metrics.items():
        if not isinstance(method, str) or not isinstance(scores, Mapping):
            raise InputError("replicate", found=f"{type(scores).__name__} for method {method!r}", expected=expected)
        for metric, value in scores.items():
            if shape(value) != ():
                raise InputError(
                    "replicate", found=f"shape {shape(value)} for {method!r}, {metric!r}", expected="a scalar"
                )
            columns.append((method, str(metric)))
            values.append(value)
    if not values:
        raise InputError("replicate", found="no metric at all", expected=expected)
    return tuple(columns), values


def _devices(precision: str) -> list[jax.Device]:
    on_host = precision == "host" and jax.default_backend() != "cpu"
    return jax.local_devices(backend="cpu") if on_host else jax.devices()


def _listed(columns: Columns) -> str:
    return ", ".join(f"{method}/{metric}" for method, metric in columns)
