"""Reading a compiled program: which collectives it runs, how large, how often, and what its loops add up to.

XLA's own cost analysis counts the body of a loop once, whatever its trip count (measured: a scan of 100 training
steps costs as much as one step). The text of the compiled program tells the trip counts, so sums over the program
are taken here with every loop multiplied out, and :func:`read_hlo` says how many loops kept their count to
themselves: an exit that depends on data is counted once. Of a branch, such as an evaluation every thousandth step, XLA
counts the dearest side; here the cheapest one counts, so that an estimate of time stays a lower bound.

What is parsed is the text of ``compiled.as_text()``, of which XLA promises nothing: an instruction that is not
understood contributes nothing, and the tests parse real programs of every kind of collective.
"""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Mapping

from causalrep.aot.hlo.bytes import Traffic, operand_bytes
from causalrep.aot.hlo.flops import PRODUCTS, flops
from causalrep.aot.hlo.text import (
    KINDS,
    Instruction,
    parse,
    shape_bytes,
    trip_count,
    tuple_parts,
)

_CALLS = re.compile(r"(calls|to_apply|condition|body|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"(?:branch_computations|called_computations)=\{([^}]*)\}")
# One all-gather that TPUs spread over several fusions is written once in each: the first piece carries -1.
_LATER_PIECE = re.compile(r'"async_collective_fusion_config":\{"flag_start":"(?!-1")')
_APPLY = frozenset({"reduce", "reduce-window", "scatter", "sort", "map", "select-and-scatter"})
# Custom calls that compute nothing.
_NOT_KERNELS = frozenset(
    {"AllocateBuffer", "ConcatBitcast", "AsyncCollectiveStart", "AsyncCollectiveDone", "Sharding"}
    | {"SPMDFullToShardShape", "SPMDShardToFullShape", "GatherScatterIndicesBitpacked"}
)


@dataclasses.dataclass(frozen=True)
class Collective:
    """One collective operation of a program.

    Attributes:
        kind: One of :data:`KINDS`.
        bytes: The larger of what one device puts in and gets out.
        count: How often one call of the program runs it.
        source: The JAX operation it comes from, as the compiler remembers it; may be empty.
    """

    kind: str
    bytes: int
    count: int
    source: str = ""


@dataclasses.dataclass(frozen=True)
class HloSummary:
    """What the text of a compiled program says.

    Attributes:
        collectives: Its collectives, largest first.
        flops: Products and sums of its instructions, loops multiplied out; transcendental functions are one each.
        bytes: What its instructions read and write, loops multiplied out.
        open_loops: Loops whose trip count is unknown, counted once.
        kernels: Calls of hand-written kernels by name, whose FLOPs XLA does not know.
        fast_products: Matrix products not asked for in full precision, which TPUs compute in one bfloat16 pass.
    """

    collectives: tuple[Collective, ...]
    flops: float
    bytes: float
    open_loops: int
    kernels: Mapping[str, int]
    fast_products: int


@dataclasses.dataclass
class _Totals:
    flops: float = 0.0
    bytes: float = 0.0
    open_loops: int = 0
    fast_products: int = 0
    collectives: dict[tuple[str, int, str], int] = dataclasses.field(default_factory=lambda: defaultdict(int))
    kernels: dict[str, int] = dataclasses.field(default_factory=lambda: defaultdict(int))

    def add(self, other: "_Totals", times: int = 1) -> None:
        self.flops += times * other.flops
        self.bytes += times * other.bytes
        self.open_loops += other.open_loops
        self.fast_products += other.fast_products
        for key, count in other.collectives.items():
            self.collectives[key] += times * count
        for key, count in other.kernels.items():
            self.kernels[key] += count


def read_hlo(text: str) -> HloSummary:
    """Summarise the text of a compiled (or at least optimised) XLA program.

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
                # A fusion reads its operands and writes its result; what is inside stays on chip.
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
    """A branch: what at least one side costs; its collectives and kernels are those of all sides."""
    both = _Totals()
    for side in sides:
        both.add(side)
    return dataclasses.replace(
        both,
        flops=min((side.flops for side in sides), default=0.0),
        bytes=min((side.bytes for side in sides), default=0.0),
    )


def _own(instruction: Instruction, table: Mapping[str, Instruction], totals: _Totals) -> None:
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
    """Computations an instruction runs, each with how often."""
    if instruction.opcode in ("async-update", "async-done"):
        return []  # they name the computation that async-start already ran
    called = dict(_CALLS.findall(instruction.attributes))
    if instruction.opcode == "while":
        trips = trip_count(instruction, computations)
        totals.open_loops += trips is None
        times = 1 if trips is None else trips
        return [(called[part], times + extra) for part, extra in (("condition", 1), ("body", 0)) if part in called]
    if instruction.opcode in _APPLY or instruction.opcode.removesuffix("-start") in KINDS:
        return []  # their computation is one addition or comparison, counted with the instruction
    groups = _BRANCHES.findall(instruction.attributes)
    branches = [name.strip().lstrip("%") for group in groups for name in group.split(",")]
    return [(name, 1) for name in [*called.values(), *branches] if name]


def _collective_bytes(instruction: Instruction, table: Mapping[str, Instruction]) -> int:
    result = instruction.shape
    if instruction.opcode in ("all-gather-start", "collective-permute-start"):
        # The tuple is (operand, result, ...): count one of them, not their sum.
        parts = tuple_parts(result)
        result = parts[1] if len(parts) > 1 else result
    return max(shape_bytes(result), operand_bytes(instruction, table))
