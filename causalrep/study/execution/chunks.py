"""How many replications one call computes: fixed budgets of memory, and the compiler's word on what a program needs."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal

from causalrep.arithmetic import ceil_div

# A chunk's size follows from these constants and the program alone, never from the memory that happens to be free,
# so that every run of a study on one kind of machine has the same chunks.
CHUNK_BYTES = {"cpu": 256 * 2**20, "accelerator": 4 * 2**30}
CHUNK_LARGEST = {"cpu": 128, "accelerator": 4096}


@dataclasses.dataclass(frozen=True)
class Chunk:
    """The number of replications that one call computes, and the reason for it.

    Attributes:
        size: Number of replications.
        why: The bound that decided it, for the record.
        by_memory: Whether memory decided it.
        bytes: Memory that the compiled program needs on each device, if the compiler was asked.
    """

    size: int
    why: str
    by_memory: bool = False
    bytes: int | None = None


def budget_of(kind: str) -> tuple[int, int]:
    """Bytes and replications allowed on each device, a ``"cpu"`` or an ``"accelerator"``."""
    return CHUNK_BYTES[kind], CHUNK_LARGEST[kind]


def first_chunk(each: int, replications: int, count: int, kind: str) -> tuple[int, bool]:
    """A chunk's size before anything is compiled, and whether memory decides it.

    Args:
        each: Bytes that one replication needs.
        replications: Number of replications.
        count: Number of devices they are split over.
        kind: ``"cpu"`` or ``"accelerator"``, which names the budget.
    """
    budget, largest = budget_of(kind)
    by_memory = budget // max(each, 1) < min(largest, ceil_div(replications, count))
    lanes = max(1, budget // each) if by_memory else largest
    return even_chunk(lanes, replications, count), by_memory


def even_chunk(lanes: int, replications: int, count: int) -> int:
    """The size of the fewest equal chunks of at most ``lanes`` replications per device.

    Filling chunk after chunk would leave a last one that is mostly padding: 100 replications with room for 64 make two
    chunks of 50. The size is rounded up to a multiple of the ``count`` devices.
    """
    chunks = ceil_div(replications, lanes * count)
    return count * ceil_div(ceil_div(replications, chunks), count)


def memory_of(compiled: jax.stages.Compiled) -> int:
    """Bytes that a compiled program needs on each device: arguments, results and temporaries."""
    memory = compiled.memory_analysis()
    parts = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")
    return sum(getattr(memory, part, 0) for part in parts) - getattr(memory, "alias_size_in_bytes", 0)


def operations_of(compiled: jax.stages.Compiled) -> tuple[float | None, bool]:
    """Floating-point operations of one call on each device, and whether the count is complete.

    The count multiplies out loops, from the program's text. It is None where the text cannot be read, and a lower
    bound where a loop ends when data say so (it counts once) or a library's kernel computes (it counts nothing).
    """
    # Imported here: a run reads compiled text only if it is asked to count.
    from causalrep.aot.hlo.summary import read_hlo

    try:
        summary = read_hlo(compiled.as_text() or "")
    except (ValueError, IndexError):  # a text that is not understood must not end a run
        return None, False
    return summary.flops, not summary.open_loops and not summary.kernels


def peak_bytes(jaxpr: Any) -> int:
    """Most bytes alive at once if a program ran equation by equation and freed each value after its last use.

    The inputs belong to the caller and do not count. A loop or call adds the peak of its body to what is alive around
    it. The compiler may need less, by fusing, or more, by padding and copying.
    """
    last = {v: i for i, eqn in enumerate(jaxpr.eqns) for v in eqn.invars if not isinstance(v, Literal)}
    # Outputs stay alive to the end.
    last |= dict.fromkeys((v for v in jaxpr.outvars if not isinstance(v, Literal)), len(jaxpr.eqns))
    incoming = {*jaxpr.invars, *jaxpr.constvars}
    alive, peak = 0, 0
    for i, equation in enumerate(jaxpr.eqns):
        alive += sum(_bytes(v) for v in equation.outvars)
        # Bodies of loops, branches and calls are parameters of the equation, alone or in a sequence.
        inner = (getattr(p, "jaxpr", p) for q in equation.params.values() for p in (q if _many(q) else (q,)))
        peak = max(peak, alive + max((peak_bytes(p) for p in inner if hasattr(p, "eqns")), default=0))
        unused = (v for v in equation.outvars if v not in last)
        done = {v for v in equation.invars if not isinstance(v, Literal) and last[v] == i and v not in incoming}
        alive -= sum(_bytes(v) for v in (*done, *unused))
    return peak


def _many(value: object) -> bool:
    return isinstance(value, tuple | list)


def _bytes(variable: Any) -> int:
    aval = variable.aval
    itemsize = getattr(getattr(aval, "dtype", None), "itemsize", 8)
    return int(np.prod(getattr(aval, "shape", ()), dtype=np.int64)) * itemsize
