"""One replication as a compiled program, and the same program over many replications at once."""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from causalrep.errors import InputError
from causalrep.parallel.mesh import make_mesh
from causalrep.study.execution.chunks import peak_bytes
from causalrep.study.plan import Columns, Replicate, Scalar, Study

# Layout of a replication's arguments on the mesh: the cell's key, the replication's number, the cell's traced fields.
LANES = (PartitionSpec(), PartitionSpec("replica"), PartitionSpec())

PROGRAMS_KEPT = 64


def over_replications(
    one: Callable[[jax.Array, jax.Array, Any], jax.Array],
    mode: Literal["loop", "vmap", "sharded"],
    mesh: Mesh | None = None,
) -> jax.stages.Wrapped:
    """The jitted program of a chunk of replications; a study runs it, and it is compiled ahead of time for pods.

    In mode ``"sharded"`` every device runs the vmapped replication on its own lanes under ``shard_map``, so the
    program holds no collective, whatever the replication computes. Leaving the split to the compiler does not give
    that: it gathers the operands of factorizations onto every device, and joins the exits of data-dependent loops
    (282 all-gathers and 45 all-reduces in one IVL replication compiled for a TPU v5e:4x4).

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
    # Only the inputs are replicated over the axis, so there is no replication for shard_map to check.
    local = jax.shard_map(batched, mesh=mesh, in_specs=LANES, out_specs=LANES[1], check_vma=False)
    key, replications, traced = (NamedSharding(mesh, spec) for spec in LANES)
    return jax.jit(local, in_shardings=(key, replications, traced), out_shardings=replications)


class CellProgram:
    """One replication at fixed static fields, compiled for a mode, a chunk and devices on first use.

    Attributes:
        single: The jitted replication, ``(cell_key, replication, traced) -> values``.
        columns: The (method, metric) pair of each value, known once it is traced.
        compile_seconds: Seconds spent compiling so far.
    """

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
        """Upper estimate of the bytes that one replication needs, from its jaxpr and without compiling."""
        return peak_bytes(self.single.trace(*arguments).jaxpr.jaxpr)

    def executable(
        self, mode: Literal["loop", "vmap", "sharded"], chunk: int, devices: tuple[jax.Device, ...], *arguments: Any
    ) -> jax.stages.Compiled:
        """The program compiled ahead of time for these shapes; adds to ``compile_seconds``."""
        compiled = self._compiled.get((mode, chunk, devices))
        if compiled is None:
            start = time.perf_counter()
            mesh = make_mesh(devices=devices) if mode == "sharded" else None
            compiled = over_replications(self.single, mode, mesh).lower(*arguments).compile()
            self._compiled[mode, chunk, devices] = compiled
            self.compile_seconds += time.perf_counter() - start
        return compiled


@functools.lru_cache(maxsize=PROGRAMS_KEPT)
def _program(
    replicate: Replicate, static: tuple, traced: tuple, precision: str, full_products: bool = False
) -> CellProgram:
    del traced  # part of the identity: the same field may be static in one study and traced in another
    return CellProgram(replicate, static, precision, full_products)


def cell_program(study: Study, cell: int) -> CellProgram:
    """The program of one cell of a study whose precision is decided; the most recently used programs are kept."""
    return _program(study.replicate, study.static_values(cell), study.traced, study.precision, study.full_products)


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
        raise InputError("replicate", found="no metric", expected=expected)
    return tuple(columns), values


def check_columns(names: Columns, expected: Columns, where: str) -> None:
    """Refuse values that are not those of the cell's other replications.

    Without this, a method that is left out wherever it fails would be averaged over the replications that it survives.

    Raises:
        InputError: If a method or metric is missing, new, or in another place.
    """
    if names != expected:
        raise InputError(
            "replicate",
            found=f"{_listed(names)} in {where}",
            expected=f"the methods and metrics of the replications before: {_listed(expected)}; give NaN where a "
            "method has no value",
        )


def _listed(columns: Columns) -> str:
    return ", ".join(f"{method}/{metric}" for method, metric in columns)
