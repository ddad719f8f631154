"""Reports on programs compiled ahead of time: memory, communication, a roofline, and problems."""

import dataclasses
from collections.abc import Mapping

from causalrep.aot.collectives import Collective


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes that one chip holds while the program runs.

    Attributes:
        arguments: Bytes of its share of the arguments.
        outputs: Bytes of its share of the result.
        temporaries: Bytes of scratch space in device memory.
        code: Bytes of the program itself.
        donated: Bytes of the result that reuse the arguments' buffers.
    """

    arguments: int
    outputs: int
    temporaries: int
    code: int
    donated: int

    @property
    def total(self) -> int:
        """The sum of all parts; a donated buffer counts once."""
        return self.arguments + self.outputs + self.temporaries + self.code - self.donated


@dataclasses.dataclass(frozen=True)
class Roofline:
    """A roofline estimate of one call: a real call takes at least about the largest of these. No chip was timed.

    Attributes:
        compute: Seconds of arithmetic at the chip's bfloat16 peak.
        memory: Seconds of memory traffic at the chip's peak bandwidth.
        network: Seconds of its collectives with every link in use.
    """

    compute: float
    memory: float
    network: float

    @property
    def seconds(self) -> float:
        """The largest of the three."""
        return max(self.compute, self.memory, self.network)

    @property
    def bound(self) -> str:
        """The part that is the largest: ``"compute"``, ``"memory"`` or ``"network"``."""
        return max(("compute", "memory", "network"), key=lambda part: getattr(self, part))


@dataclasses.dataclass(frozen=True)
class ProgramReport:
    """The result of compiling one program for one target.

    Attributes:
        name: The program's name.
        target: The target it was compiled for.
        chips: Number of devices.
        expected: The kinds of collective that were expected.
        lower_seconds: Seconds of tracing and lowering.
        compile_seconds: Seconds of compiling; 0 if it was only lowered.
        memory: Bytes per chip; None if it was only lowered, or did not fit.
        limit: Bytes of a chip's memory that a program may use; None if unknown.
        flops: Operations per chip, loops multiplied out, without the kernels of factorizations. None if unknown.
        bytes: Bytes moved to and from memory per chip, loops multiplied out. None if unknown.
        collectives: Every collective; None if it was only lowered, since the compiler adds them.
        open_loops: Number of loops that end when data say so; they count once in ``flops``, ``bytes``, ``collectives``.
        kernels: Number of calls of each hand-written kernel (factorizations), by name.
        fast_products: Number of matrix products in one bfloat16 pass.
        estimate: Roofline of one call; None if the chip is not known.
        too_large: The compiler's message if the program does not fit.
    """

    name: str
    target: str
    chips: int
    expected: tuple[str, ...]
    lower_seconds: float
    compile_seconds: float = 0.0
    memory: Memory | None = None
    limit: int | None = None
    flops: float | None = None
    bytes: float | None = None
    collectives: tuple[Collective, ...] | None = None
    open_loops: int = 0
    kernels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    fast_products: int = 0
    estimate: Roofline | None = None
    too_large: str = ""

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong: it does not fit, runs a stray collective, or lacks an expected one. Empty if nothing is."""
        problems = [f"does not fit: {self.too_large}"] if self.too_large else []
        if self.memory is not None and self.limit is not None and self.memory.total > self.limit:
            problems.append(f"does not fit: {self.memory.total:,} bytes of {self.limit:,}")
        if self.collectives is not None:
            kinds = {collective.kind for collective in self.collectives}
            for collective in self.collectives:
                if collective.kind not in self.expected:
                    where = f", from {collective.source}" if collective.source else ""
                    problems.append(
                        f"stray {collective.kind}: {collective.count} x {collective.bytes:,} bytes{where}; "
                        f"expected {', '.join(self.expected) or 'no collective'}"
                    )
            if self.expected and self.chips > 1 and not kinds & set(self.expected):
                problems.append(
                    f"no {' or '.join(self.expected)}, though one is expected: is the program split at all?"
                )
        return tuple(problems)

    def collective_totals(self) -> dict[str, tuple[int, int]]:
        """By kind: the number of collectives that one call runs, and their bytes in sum."""
        totals: dict[str, tuple[int, int]] = {}
        for collective in self.collectives or ():
            count, size = totals.get(collective.kind, (0, 0))
            totals[collective.kind] = (count + collective.count, size + collective.count * collective.bytes)
        return totals
