"""The programs that a study runs, to compile them ahead of time: the same functions, on abstract devices."""

import contextlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from causalrep.aot.programs import Program
from causalrep.arithmetic import ceil_div
from causalrep.base.validation import check_counts
from causalrep.study.execution.cell_program import cell_program, over_replications
from causalrep.study.execution.chunks import first_chunk
from causalrep.study.execution.placement import Placement, Precision, place
from causalrep.study.plan import Study


def study_programs(
    study: Study, target: str, *, chunk: int | None = None, precision: Precision = "auto"
) -> list[Program]:
    """The programs of a study on a slice: one per set of static fields, sharded over all devices, and the gather.

    The runner builds its programs by the same function,
    :func:`causalrep.study.execution.cell_program.over_replications`. The last program brings the results of one chunk
    to every device, which is the only communication of a replicated study.

    Args:
        study: The study.
        target: As for :func:`causalrep.aot.programs.compile_for`.
        chunk: Replications per call; default from the replications and a fixed budget of memory, as in a run.
        precision: As for :func:`causalrep.study.run`.

    Returns:
        The programs; none if the study runs on the host (see :func:`host_reason`).
    """
    if study.programs is not None:
        return list(study.programs())
    placement = place(study, precision, target.partition(":")[0])
    if host_reason(placement):
        return []
    study = placement.study
    cells: dict[tuple, list[int]] = {}
    for cell in range(len(study.settings)):
        cells.setdefault(study.static_values(cell), []).append(cell)
    programs = [_replications(study, own, chunk) for own in cells.values()]
    return [*programs, _gather(study, next(iter(cells.values()))[0], chunk)]


def host_reason(placement: Placement) -> str:
    """The reason why a placed study compiles nothing for the target; empty if it does compile."""
    if placement.study.programs is not None:
        return ""
    if not placement.study.compiled:
        return "ordinary Python, which runs on the host"
    return f"float64, run on the host ({placement.why})" if placement.study.precision == "host" else ""


def _replications(study: Study, cells: list[int], chunk: int | None) -> Program:
    static = ", ".join(f"{field}={value}" for field, value in study.static_values(cells[0]))
    count = f"{len(cells)} cells" if len(cells) > 1 else "1 cell"

    def jitted(mesh: Mesh) -> jax.stages.Wrapped:
        return over_replications(cell_program(study, cells[0]).single, "sharded", mesh)

    def arguments(mesh: Mesh) -> tuple:
        lanes = jax.ShapeDtypeStruct((_lanes(study, cells[0], mesh, chunk),), np.uint32)
        return _abstract(study, cells[0], lanes)

    return Program(f"{static} ({count})" if static else count, jitted, arguments, context=_context(study))


def _gather(study: Study, cell: int, chunk: int | None) -> Program:
    def arguments(mesh: Mesh) -> tuple:
        single = cell_program(study, cell).single
        values = jax.eval_shape(single, *_abstract(study, cell, jax.ShapeDtypeStruct((), np.uint32)))
        return (jax.ShapeDtypeStruct((_lanes(study, cell, mesh, chunk), *values.shape), values.dtype),)

    return Program.of(
        "gather of the results",
        _identity,
        arguments,
        in_specs=(PartitionSpec("replica"),),
        out_specs=PartitionSpec(),
        # TPUs gather a few bytes by adding up zero-padded parts.
        collectives=("all-gather", "all-reduce"),
        context=_context(study),
    )


def _identity(values: jax.Array) -> jax.Array:
    return jnp.copy(values)


def _lanes(study: Study, cell: int, mesh: Mesh, chunk: int | None) -> int:
    count = mesh.shape["replica"]
    if chunk is not None:
        check_counts(chunk=chunk)
        return count * ceil_div(min(chunk, study.replications), count)
    single = _abstract(study, cell, jax.ShapeDtypeStruct((), np.uint32))
    each = cell_program(study, cell).replication_bytes(*single)
    return first_chunk(each, study.replications, count, "accelerator")[0]


def _abstract(study: Study, cell: int, replications: jax.ShapeDtypeStruct) -> tuple:
    arguments = (study.cell_key(cell), study.traced_values(cell))
    key, traced = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), arguments)
    return key, replications, traced


def _context(study: Study) -> Callable[[], contextlib.AbstractContextManager]:
    return lambda: jax.enable_x64(study.precision != "float32")
