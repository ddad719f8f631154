"""Compile programs ahead of time for a slice of TPUs, on a machine that has none.

A :class:`Program` is a function with abstract arguments and their layout on a mesh. :func:`compile_for` runs the real
TPU compiler on it (the ``libtpu`` package holds the compiler, no chip is needed) and reports whether the program
compiles, whether it fits, and which collectives it runs. Do not profile in a process that has done so: JAX 0.10.2's
profiler crashes once libtpu is loaded as a compiler alone.

>>> import jax, jax.numpy as jnp
>>> from jax.sharding import PartitionSpec as P
>>> def step(w, x):
...     return w - 0.1 * jax.grad(lambda w: jnp.mean((x @ w) ** 2))(w)
>>> shapes = (jax.ShapeDtypeStruct((8,), "float32"), jax.ShapeDtypeStruct((4096, 8), "float32"))
>>> training = Program.of("step", step, shapes, in_specs=(P(), P("data")), out_specs=P(), replica=1,
...                       collectives=("all-reduce",))
>>> reports = compile_for("tpu:v5e:4x4", [training])  # doctest: +SKIP
>>> reports[0].problems  # doctest: +SKIP
()
"""

import contextlib
import dataclasses
import importlib.util
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jax
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from causalrep.aot.chips import CHIPS, Chip
from causalrep.aot.collectives import KINDS, Collective
from causalrep.aot.report import Memory, ProgramReport, Roofline
from causalrep.errors import CausalrepError, InputError
from causalrep.parallel.mesh import make_mesh

if TYPE_CHECKING:
    from causalrep.aot.hlo.summary import HloSummary

# Without these variables libtpu asks a metadata server for its topology, and refuses a second process that compiles.
_COMPILER_ONLY = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_LOG_DIR": "disabled",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


class CompileError(CausalrepError):
    """Programs cannot be compiled ahead of time here, or one of them does not compile for the target."""


@dataclasses.dataclass(frozen=True)
class Program:
    """A program to compile: the function that would run, its abstract arguments, and what it may communicate.

    :meth:`of` makes most programs. If the function itself depends on the mesh (``shard_map``), give ``jitted`` and
    ``arguments`` as functions of the mesh.

    Attributes:
        name: Name in the report.
        jitted: ``mesh -> jax.jit(...)``, with its shardings and donated arguments.
        arguments: ``mesh -> arguments``: pytrees of ``jax.ShapeDtypeStruct`` or arrays.
        collectives: Kinds of collective it is expected to run; any other kind is a problem, and so is none of them.
        replica: Size of the mesh's replica axis; None: the number of devices divided by ``data``.
        data: Size of the mesh's data axis; None: the number of devices divided by ``replica``, or 1.
        context: Context manager entered while tracing and compiling: precision, 64-bit types.
    """

    name: str
    jitted: Callable[[Mesh], jax.stages.Wrapped]
    arguments: Callable[[Mesh], tuple]
    collectives: tuple[str, ...] = ()
    replica: int | None = None
    data: int | None = None
    context: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext

    def __post_init__(self) -> None:
        unknown = sorted(set(self.collectives) - set(KINDS))
        if isinstance(self.collectives, str) or unknown:
            raise InputError("collectives", found=repr(self.collectives), expected=f"a tuple of {', '.join(KINDS)}")

    @classmethod
    def of(
        cls,
        name: str,
        function: Callable,
        arguments: tuple | Callable[[Mesh], tuple],
        *,
        in_specs: Any,
        out_specs: Any,
        collectives: tuple[str, ...] = (),
        donate: tuple[int, ...] = (),
        static: tuple[int, ...] = (),
        replica: int | None = None,
        data: int | None = None,
        context: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
    ) -> "Program":
        """A program whose layout is given by partition specs over the axes ``"replica"`` and ``"data"``.

        Args:
            name: Name in the report.
            function: The function that would run, not jitted yet.
            arguments: Its arguments: pytrees of arrays or ``jax.ShapeDtypeStruct``; a function of the mesh if their
                sizes depend on it.
            in_specs: ``PartitionSpec`` of each argument but the static ones: a tuple, one pytree prefix each.
            out_specs: The same for the result.
            collectives: Kinds of collective it is expected to run; none by default.
            donate: Positions of the arguments whose buffers the result may reuse.
            static: Positions of the arguments that are Python values.
            replica: Size of the replica axis.
            data: Size of the data axis.
            context: Context manager entered while tracing and compiling.
        """

        def jitted(mesh: Mesh) -> jax.stages.Wrapped:
            def place(specs: Any) -> Any:
                is_spec = lambda leaf: isinstance(leaf, PartitionSpec)  # noqa: E731
                return jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs, is_leaf=is_spec)

            return jax.jit(
                function,
                in_shardings=place(in_specs),
                out_shardings=place(out_specs),
                donate_argnums=donate,
                static_argnums=static,
            )

        of_mesh = arguments if callable(arguments) else lambda mesh: arguments
        return cls(name, jitted, of_mesh, collectives, replica, data, context)


def compile_for(target: str, programs: Sequence[Program]) -> list[ProgramReport]:
    """Compile programs ahead of time for a target, on any machine.

    Args:
        target: ``"tpu:<topology>"`` with any topology that the TPU compiler knows (``"tpu:v5e:16x16"``,
            ``"tpu:v4:2x2x1"``), or ``"cuda"`` or ``"cuda:<devices>"``. Programs for GPUs are lowered only, since JAX
            needs a GPU to compile for one: their reports have no memory, no collectives and no estimate.
        programs: The programs to compile.

    Returns:
        One report per program; that of a program too large for the chip says so.

    Raises:
        CompileError: If libtpu is missing, this process is one of several, or a program does not compile.
        InputError: If the target is unknown, or a mesh does not suit it.
    """
    if jax.process_count() > 1:
        raise CompileError(
            f"programs are compiled ahead of time in one process, but this is one of {jax.process_count()}: "
            "run it without the launcher"
        )
    kind, _, rest = target.partition(":")
    if kind == "tpu" and rest:
        with _compiler_only():
            devices = tpu_devices(rest)
            chip = CHIPS.get(devices[0].device_kind)
            return [_compiled(target, program, devices, chip) for program in programs]
    if kind == "cuda" and re.fullmatch(r"[1-9]\d*", rest or "1"):
        return [_lowered(target, program, int(rest or 1)) for program in programs]
    raise InputError(
        "target", found=repr(target), expected="'tpu:<topology>', for example 'tpu:v5e:4x4', or 'cuda[:devices]'"
    )


def tpu_devices(topology: str) -> list[jax.Device]:
    """Abstract devices of a TPU slice, to make a mesh of and compile for; they hold no data.

    Raises:
        CompileError: If libtpu is not installed or cannot be loaded.
        InputError: If the compiler does not know the topology.
    """
    if importlib.util.find_spec("libtpu") is None:
        raise CompileError("compiling for TPUs needs their compiler: pip install 'causalrep[aot]' (libtpu, 0.6 GB)")
    from jax.experimental import topologies

    # v4 chips have two cores that JAX uses as one device.
    options = {"chip_config_name": "megacore"} if topology.startswith("v4:") else {}
    try:
        with _compiler_only():
            return list(topologies.get_topology_desc(topology, "tpu", **options).devices)
    except jax.errors.JaxRuntimeError as error:
        message = str(error).partition("\n")[0]
        if message.startswith("INVALID_ARGUMENT"):
            raise InputError(
                "topology",
                found=f"{topology!r} ({message.removeprefix('INVALID_ARGUMENT: ')})",
                expected="a slice such as v5e:4x4, v5e:16x16, v6e:16x16, v4:2x2x1 or v5p:4x4x4",
            ) from error
        raise CompileError(f"the TPU compiler could not be loaded: {message}") from error


def _compiled(target: str, program: Program, devices: list[jax.Device], chip: Chip | None) -> ProgramReport:
    # Imported here so that programs can be described, and run, without the reader of compiled text.
    from causalrep.aot.hlo.summary import read_hlo

    mesh = make_mesh(program.replica, program.data, devices=devices)
    start = time.perf_counter()
    with program.context():
        lowered = program.jitted(mesh).lower(*program.arguments(mesh))
        middle = time.perf_counter()
        report = ProgramReport(program.name, target, len(devices), program.collectives, middle - start)
        report = dataclasses.replace(report, limit=None if chip is None else chip.memory)
        try:
            with _uncached():
                compiled = lowered.compile()
        except jax.errors.JaxRuntimeError as error:
            message = " ".join(str(error).partition("\nSee ")[0].split())
            if not message.startswith("RESOURCE_EXHAUSTED"):
                raise CompileError(f"{program.name} does not compile for {target}: {message[:600]}") from error
            words = message.removeprefix("RESOURCE_EXHAUSTED: ")
            return dataclasses.replace(report, compile_seconds=time.perf_counter() - middle, too_large=words)
    seconds = time.perf_counter() - middle
    stats = compiled.memory_analysis()
    memory = Memory(
        stats.argument_size_in_bytes,
        stats.output_size_in_bytes,
        stats.temp_size_in_bytes,
        stats.generated_code_size_in_bytes,
        stats.alias_size_in_bytes,
    )
    text = read_hlo(compiled.as_text())
    return dataclasses.replace(
        report,
        compile_seconds=seconds,
        memory=memory,
        estimate=None if chip is None else _roofline(text, chip, len(devices)),
        **{field.name: getattr(text, field.name) for field in dataclasses.fields(text)},
    )


def _roofline(text: "HloSummary", chip: Chip, chips: int) -> Roofline:
    network = sum(c.count * _network_bytes(c, chips) for c in text.collectives) / chip.links
    return Roofline(text.flops / chip.flops, text.bytes / chip.bandwidth, network)


def _network_bytes(collective: Collective, chips: int) -> float:
    """Bytes that each chip sends for a collective over ``chips`` chips, with the usual ring algorithms.

    An all-gather or reduce-scatter of b bytes sends b (chips - 1) / chips; an all-reduce is one of each, so twice that;
    a permute sends its operand once.
    """
    share = (chips - 1) / chips
    return collective.bytes * {"all-reduce": 2 * share, "collective-permute": 1.0}.get(collective.kind, share)


def _lowered(target: str, program: Program, devices: int) -> ProgramReport:
    data = program.data or (devices // program.replica if program.replica else 1)
    shape = (program.replica or devices // data, data)
    if shape[0] * shape[1] != devices:
        raise InputError("replica x data", found=f"{shape[0]} x {shape[1]}", expected=f"{devices}, the devices")
    mesh = AbstractMesh(shape, ("replica", "data"))
    start = time.perf_counter()
    with program.context():
        traced = program.jitted(mesh).trace(*program.arguments(mesh))
        traced.lower(lowering_platforms=("cuda",))
    seconds = time.perf_counter() - start
    return ProgramReport(program.name, target, devices, program.collectives, seconds)


@contextlib.contextmanager
def _compiler_only() -> Iterator[None]:
    """Set the environment in which libtpu loads as a compiler only; nothing changes where JAX runs on TPUs."""
    if jax.default_backend() == "tpu":
        yield
        return
    added = {name: value for name, value in _COMPILER_ONLY.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _uncached() -> Iterator[None]:
    """Keep the program out of JAX's persistent cache, which could store but not load it: no device here can run it."""
    name = "jax_persistent_cache_min_compile_time_secs"
    before = getattr(jax.config, name)
    jax.config.update(name, float("inf"))
    try:
        yield
    finally:
        jax.config.update(name, before)
