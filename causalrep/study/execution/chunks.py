"""How many replications one call computes: fixed budgets of memory, and what the compiler says a program needs."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal

from causalrep.aot.hlo.summary import read_hlo

# A chunk's size follows from these constants and the program alone, never from the memory that happens to be
# free, so that every run of a study on one kind of machine has the same chunks.
CHUNK_BYTES = {"cpu": 256 * 2**20, "accelerator": 4 * 2**30}
CHUNK_LARGEST = {"cpu": 128, "accelerator": 4096}


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one call of a compiled program needs, on each device.

    Attributes:
        bytes: Memory: arguments, results and temporaries.
        flops: Floating-point operations, loops multiplied out, or None where the backend does not show the program.
        exact: Whether ``flops`` counts all: a loop that data end counts once, a library's kernel not at all.
    """

    bytes: int
    flops: float | None
    exact: bool


@dataclasses.dataclass(frozen=True)
class Chunk:
    """How many replications one call computes, and why.

    Attributes:
        size: Replications.
        why: The bound that was met.
        by_memory: Whether that was memory.
        cost: The compiler's estimate, where it was asked.
    """

    size: int
    why: str
    by_memory: bool = False
    cost: Cost | None = None


def budget_of(kind: str) -> tuple[int, int]:
    """Bytes and replications allowed on each device, a ``"cpu"`` or an ``"accelerator"``."""
    return CHUNK_BYTES[kind], CHUNK_LARGEST[kind]


def first_chunk(each: int, replications: int, count: int, kind: str) -> tuple[int, bool]:
    """A chunk's size before anything is compiled, and whether memory decides it.

    Args:
        each: Bytes of one replication.
        replications: How many there are.
        count: Devices they are split over.
        kind: ``"cpu"`` or ``"accelerator"``: which budget.
    """
    budget, largest = budget_of(kind)
    by_memory = budget // max(each, 1) < min(largest, -(-replications // count))
    lanes = max(1, budget // each) if by_memory else largest
    return even_chunk(lanes, replications, count), by_memory


def even_chunk(lanes: int, replications: int, count: int) -> int:
    """As few chunks as hold at most ``lanes`` a device, all of one size: the last would else be mostly padding."""
    size = -(-replications // -(-replications // (lanes * count)))
    return -(-size // count) * count


def cost_of(compiled: jax.stages.Compiled) -> Cost:
    """What a program needs: memory as the compiler says, operations as its text says."""
    memory = compiled.memory_analysis()
    parts = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")
    size = sum(getattr(memory, part, 0) for part in parts) - getattr(memory, "alias_size_in_bytes", 0)
    try:
        counted = read_hlo(compiled.as_text() or "")
    except (ValueError, IndexError):  # a text that is not understood must not end a run
        return Cost(size, None, exact=False)
    return Cost(size, counted.flops, exact=not counted.open_loops and not counted.kernels)


def peak_bytes(jaxpr: Any) -> int:
    """Most bytes alive at once in a program run line by line, each value freed after its last use.

    What comes in is the caller's; a loop or call adds the peak of its body to what is alive around it. The compiler
    may do better, by fusing, or worse, by padding and copying.
    """
    last = {v: i for i, eqn in enumerate(jaxpr.eqns) for v in eqn.invars if not isinstance(v, Literal)}
    last |= dict.fromkeys((v for v in jaxpr.outvars if not isinstance(v, Literal)), len(jaxpr.eqns))
    incoming = {*jaxpr.invars, *jaxpr.constvars}
    alive, peak = 0, 0
    for i, equation in enumerate(jaxpr.eqns):
        alive += sum(_bytes(v) for v in equation.outvars)
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
