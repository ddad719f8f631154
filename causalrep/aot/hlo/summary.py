"""Summarize a compiled program: which collectives it runs, how large and how often, and the sums over its loops.

XLA's own cost analysis counts the body of a loop once, whatever its trip count (measured: a scan of 100 training
steps costs as much as one step). The text of the compiled program tells the trip counts, so the sums here multiply
out every loop whose count is known. :func:`read_hlo` reports how many loops end when data say so; those count once.
XLA charges a branch, such as an evaluation every thousandth step, at its most expensive side; here the cheapest one
counts, so that an estimate of time stays a lower bound.

XLA promises nothing about the format of ``compiled.as_text()``: an instruction that is not understood contributes
nothing, and the tests parse real programs with every kind of collective.
"""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Mapping

from causalrep.aot.collectives import KINDS, Collective
from causalrep.aot.hlo.bytes import Traffic, operand_bytes
from causalrep.aot.hlo.flops import PRODUCTS, flops
from causalrep.aot.hlo.text import Instruction, parse, shape_bytes, trip_count, tuple_parts

# Attributes that name the computations an instruction runs.
_CALLS = re.compile(r"(calls|to_apply|condition|body|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"(?:branch_computations|called_computations)=\{([^}]*)\}")
# A TPU may spread one all-gather over several fusions, each of which repeats it. The first piece has flag_start -1;
# this matches the later ones.
_LATER_PIECE = re.compile(r'"async_collective_fusion_config":\{"flag_start":"(?!-1")')
# Instructions whose computation combines two elements; it is counted with the instruction.
_APPLY = frozenset({"reduce", "reduce-window", "scatter", "sort", "map", "select-and-scatter"})
# Custom calls that compute nothing: bookkeeping of the compiler.
_NOT_KERNELS = frozenset(
    {"AllocateBuffer", "ConcatBitcast", "AsyncCollectiveStart", "AsyncCollectiveDone", "Sharding"}
    | {"SPMDFullToShardShape", "SPMDShardToFullShape", "GatherScatterIndicesBitpacked"}
)


@dataclasses.dataclass(frozen=True)
class HloSummary:
    """Totals of a compiled program, with loops multiplied out.

    Attributes:
        collectives: Its collectives, the largest in total bytes first.
        flops: Floating-point operations; a transcendental function counts as one.
        bytes: Bytes that its instructions read and write.
        open_loops: Number of loops whose trip count is unknown; their bodies count once.
        kernels: Number of calls of each hand-written kernel, by name; their operations are not in ``flops``.
        fast_products: Number of matrix products without full precision, which TPUs compute in one bfloat16 pass.
    """

    collectives: tuple[Collective, ...]
    flops: float
    bytes: float
    open_loops: int
    kernels: Mapping[str, int]
    fast_products: int


@dataclasses.dataclass
class _Totals:
    """Sums over one computation and all that it calls."""

    flops: float = 0.0
    bytes: float = 0.0
    open_loops: int = 0
    fast_products: int = 0
    collectives: dict[tuple[str, int, str], int] = dataclasses.field(default_factory=lambda: defaultdict(int))
    kernels: dict[str, int] = dataclasses.field(default_factory=lambda: defaultdict(int))

    def add(self, other: "_Totals", times: int = 1) -> None:
        self.flops += times * other.flops
        self.bytes += times * other.bytes
        # A loop or product counts once per place in the text, however often it runs.
        self.open_loops += other.open_loops
        self.fast_products += other.fast_products
        for key, count in other.collectives.items():
            self.collectives[key] += times * count
        for name, count in other.kernels.items():
            self.kernels[name] += count


def read_hlo(text: str) -> HloSummary:
    """Summarize the text of a compiled (or at least optimized) XLA program.

    Raises:
        ValueError: If the text holds no entry computation.
    """
    computations, entry = parse(text)
    traffic = Traffic(computations)
    known: dict[tuple[str, bool], _Totals] = {}

    def total(name: str, fused: bool) -> _Totals:
        if (name, fused) not in known:
            known[name, fused] = totals = _Totals()
            table = computations.get(name, {})
            for instruction in table.values():
                _own(instruction, table, totals)
                if not fused:
                    totals.bytes += traffic.bytes(instruction, table)
                if instruction.opcode == "conditional":
                    sides = [total(name, fused) for name, _ in _called(instruction, computations, totals)]
                    totals.add(_either(sides))
                    continue
                # A fusion reads its operands and writes its result; values inside it stay on the chip and move no
                # bytes, but their operations count.
                inside = fused or instruction.opcode == "fusion"
                for called, times in _called(instruction, computations, totals):
                    if called in computations:
                        totals.add(total(called, inside), times)
        return known[name, fused]

    whole = total(entry, False)
    collectives = [Collective(k, b, n, s) for (k, b, s), n in whole.collectives.items()]
    return HloSummary(
        collectives=tuple(sorted(collectives, key=lambda c: (-c.bytes * c.count, c.kind, c.source))),
        flops=whole.flops,
        bytes=whole.bytes,
        open_loops=whole.open_loops,
        kernels=dict(whole.kernels),
        fast_products=whole.fast_products,
    )


def _either(sides: list[_Totals]) -> _Totals:
    """Totals of a branch: the cost of its cheapest side, and the collectives and kernels of all sides."""
    both = _Totals()
    for side in sides:
        both.add(side)
    return dataclasses.replace(
        both,
        flops=min((side.flops for side in sides), default=0.0),
        bytes=min((side.bytes for side in sides), default=0.0),
    )


def _own(instruction: Instruction, table: Mapping[str, Instruction], totals: _Totals) -> None:
    """Add what an instruction does by itself, except its bytes, to ``totals``."""
    opcode = instruction.opcode
    kind = opcode.removesuffix("-start")
    if kind in KINDS and not _LATER_PIECE.search(instruction.attributes):
        source = re.search(r'op_name="([^"]*)"', instruction.attributes)
        key = (kind, _collective_bytes(instruction, table), source.group(1) if source else "")
        totals.collectives[key] += 1
    if opcode == "custom-call":
        target = re.search(r'custom_call_target="([^"]*)"', instruction.attributes)
        if target and target.group(1) not in _NOT_KERNELS and target.group(1) not in PRODUCTS:
            totals.kernels[target.group(1)] += 1
    totals.flops += flops(instruction, table)
    if opcode in ("dot", "convolution") and "operand_precision={high" not in instruction.attributes:
        operands = [table[name].shape for name in instruction.operands if name in table]
        totals.fast_products += any(shape.startswith(("f32", "bf16")) for shape in operands)


def _called(instruction: Instruction, computations: Mapping, totals: _Totals) -> list[tuple[str, int]]:
    """The computations that an instruction runs, each with the number of times it runs."""
    if instruction.opcode in ("async-update", "async-done"):
        return []  # they repeat the name of the computation that async-start has run
    called = dict(_CALLS.findall(instruction.attributes))
    if instruction.opcode == "while":
        trips = trip_count(instruction, computations)
        totals.open_loops += trips is None
        times = 1 if trips is None else trips
        # The condition is tested once more than the body runs.
        return [(called[part], times + extra) for part, extra in (("condition", 1), ("body", 0)) if part in called]
    if instruction.opcode in _APPLY or instruction.opcode.removesuffix("-start") in KINDS:
        return []  # one addition or comparison, counted with the instruction
    # A conditional names its branches in one list: branch_computations={%a, %b}.
    groups = _BRANCHES.findall(instruction.attributes)
    branches = [name.strip().lstrip("%") for group in groups for name in group.split(",")]
    return [(name, 1) for name in [*called.values(), *branches] if name]


def _collective_bytes(instruction: Instruction, table: Mapping[str, Instruction]) -> int:
    result = instruction.shape
    if instruction.opcode in ("all-gather-start", "collective-permute-start"):
        # The shape is a tuple (operand, result, ...): count the result, not the sum of all.
        parts = tuple_parts(result)
        result = parts[1] if len(parts) > 1 else result
    return max(shape_bytes(result), operand_bytes(instruction, table))
