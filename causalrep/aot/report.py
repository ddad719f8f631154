"""What compiling a program ahead of time showed: memory, communication, a roofline, and what is wrong with it."""

import dataclasses

from causalrep.aot.hlo.summary import Collective


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes one chip holds while the program runs.

    Attributes:
        arguments: Its share of the arguments.
        outputs: Its share of the result.
        temporaries: Scratch in device memory.
        code: The program itself.
        donated: Bytes of the result that reuse the arguments' buffers.
    """

    arguments: int
    outputs: int
    temporaries: int
    code: int
    donated: int

    @property
    def total(self) -> int:
        """All of it, donated buffers once."""
        return self.arguments + self.outputs + self.temporaries + self.code - self.donated


@dataclasses.dataclass(frozen=True)
class Roofline:
    """A roofline estimate of one call: no chip was timed, and a real call takes at least about the largest of these.

    Attributes:
        compute: Seconds of arithmetic at the chip's bfloat16 peak.
        memory: Seconds of moving the bytes at the peak of its memory.
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
        """Which one that is."""
        return max(("compute", "memory", "network"), key=lambda part: getattr(self, part))


@dataclasses.dataclass(frozen=True)
class ProgramReport:
    """What compiling one program for one target showed.

    Attributes:
        name: The program's name.
        target: What it was compiled for.
        chips: How many devices.
        memory: Bytes per chip; None if it was only lowered, or did not fit.
        limit: Bytes a program may use of the chip; None if unknown.
        flops: Per chip, loops multiplied out; kernels of factorisations are not in it. None if unknown.
        bytes: Moved to and from memory per chip, loops multiplied out. None if unknown.
        collectives: Every collective; None if it was only lowered, when the compiler has not yet put them in.
        expected: The kinds that were expected.
        open_loops: Loops whose trip count depends on data, counted once in ``flops``, ``bytes`` and collectives.
        kernels: Calls of hand-written kernels (factorisations), by name.
        fast_products: Matrix products in one bfloat16 pass.
        lower_seconds: Tracing and lowering.
        compile_seconds: Compiling; 0 if it was only lowered.
        estimate: Roofline of one call; None if the chip is not known.
        too_large: The compiler's words if the program does not fit.
    """

    name: str
    target: str
    chips: int
    memory: Memory | None
    limit: int | None
    flops: float | None
    bytes: float | None
    collectives: tuple[Collective, ...] | None
    expected: tuple[str, ...]
    open_loops: int
    kernels: dict[str, int]
    fast_products: int
    lower_seconds: float
    compile_seconds: float
    estimate: Roofline | None
    too_large: str = ""

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with it: too large, a stray collective, an expected one missing. Empty if nothing is."""
        found = [f"does not fit: {self.too_large}"] if self.too_large else []
        if self.memory is not None and self.limit is not None and self.memory.total > self.limit:
            found.append(f"does not fit: {self.memory.total:,} bytes of {self.limit:,}")
        if self.collectives is not None:
            kinds = {collective.kind for collective in self.collectives}
            for collective in self.collectives:
                if collective.kind not in self.expected:
                    where = f", from {collective.source}" if collective.source else ""
                    found.append(
                        f"stray {collective.kind}: {collective.count} x {collective.bytes:,} bytes{where}; "
                        f"expected {', '.join(self.expected) or 'no collective'}"
                    )
            if self.expected and self.chips > 1 and not kinds & set(self.expected):
                found.append(f"no {' or '.join(self.expected)}, though one is expected: is the program split at all?")
        return tuple(found)

    def collective_totals(self) -> dict[str, tuple[int, int]]:
        """By kind: how many a call runs, and their bytes in sum."""
        totals: dict[str, tuple[int, int]] = {}
        for collective in self.collectives or ():
            count, size = totals.get(collective.kind, (0, 0))
            totals[collective.kind] = (count + collective.count, size + collective.count * collective.bytes)
        return totals
