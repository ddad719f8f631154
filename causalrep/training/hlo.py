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
import math
import re
from collections import defaultdict
from collections.abc import Mapping

from causalrep.training.hlo_text import (
    SHAPE,
    Instruction,
    dims_of,
    elements,
    parse,
    shape_bytes,
    trip_count,
    tuple_parts,
)

KINDS = (
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "ragged-all-to-all",
    "reduce-scatter",
)
_CALLS = re.compile(r"(calls|to_apply|condition|body|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"(?:branch_computations|called_computations)=\{([^}]*)\}")
# One all-gather that TPUs spread over several fusions is written once in each: the first piece carries -1.
_LATER_PIECE = re.compile(r'"async_collective_fusion_config":\{"flag_start":"(?!-1")')
# What moves no data, or only stands for the instructions it calls.
_FREE = frozenset(
    {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "call", "conditional", "after-all"}
    | {"copy-done", "all-gather-done", "all-reduce-done", "collective-permute-done", "async-done", "async-update"}
)
_APPLY = frozenset({"reduce", "reduce-window", "scatter", "sort", "map", "select-and-scatter"})
# What computes nothing, or what the instructions it calls compute, or what cannot be known.
_MOVES = frozenset(
    {"fusion", "custom-call", "copy", "copy-start", "async-start", "broadcast", "iota", "reshape", "transpose"}
    | {"slice", "dynamic-slice", "dynamic-update-slice", "concatenate", "pad", "gather", "bitcast-convert", "reverse"}
    | {"partition-id", "replica-id", "optimization-barrier", "infeed", "outfeed", "send", "recv", "rng-bit-generator"}
)
# What takes some rows of its first operand.
_DRAWS = frozenset({"gather", "dynamic-slice"})
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
    known: dict[str, _Totals] = {}

    def total(name: str) -> _Totals:
        if name not in known:
            known[name] = totals = _Totals()
            table = computations.get(name, {})
            for instruction in table.values():
                _own(instruction, table, totals, computations)
                if instruction.opcode == "conditional":
                    sides = [total(name) for name, _ in _called(instruction, computations, totals)]
                    totals.add(_either(sides))
                    continue
                for called, times in _called(instruction, computations, totals):
                    if called in computations:
                        part = total(called)
                        if instruction.opcode == "fusion":
                            # A fusion reads its operands and writes its result; what is inside stays on chip.
                            part = dataclasses.replace(part, bytes=0.0)
                        totals.add(part, times)
        return known[name]

    whole = total(entry)
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


def _own(instruction: Instruction, table: Mapping[str, Instruction], totals: _Totals, computations: Mapping) -> None:
    opcode = instruction.opcode
    kind = opcode.removesuffix("-start")
    if kind in KINDS and not _LATER_PIECE.search(instruction.attributes):
        source = re.search(r'op_name="([^"]*)"', instruction.attributes)
        key = (kind, _collective_bytes(instruction, table), source.group(1) if source else "")
        totals.collectives[key] += 1
    if opcode == "custom-call":
        target = re.search(r'custom_call_target="([^"]*)"', instruction.attributes)
        if target and target.group(1) not in _NOT_KERNELS:
            totals.kernels[target.group(1)] += 1
    totals.flops += _flops(instruction, table)
    if opcode not in _FREE:
        moved = _written_bytes(instruction, table, computations) + _read_bytes(instruction, table, computations)
        totals.bytes += moved
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
    return max(shape_bytes(result), _operand_bytes(instruction, table))


def _operand_bytes(instruction: Instruction, table: Mapping[str, Instruction]) -> int:
    return sum(shape_bytes(table[name].shape) for name in instruction.operands if name in table)


def _read_bytes(instruction: Instruction, table: Mapping[str, Instruction], computations: Mapping) -> int:
    """Bytes an instruction reads: of an operand from which rows are only drawn, those rows."""
    if instruction.opcode in _DRAWS:
        return shape_bytes(instruction.shape)
    if instruction.opcode == "dynamic-update-slice":
        return _written_bytes(instruction, table, computations)
    if instruction.opcode != "fusion":
        return _operand_bytes(instruction, table)
    inside, read = _inside(instruction, computations), 0
    for position, name in enumerate(instruction.operands):
        whole = shape_bytes(table[name].shape) if name in table else 0
        drawn = _drawn_bytes(position, inside, computations)
        read += whole if drawn is None else min(whole, drawn)
    return read


def _written_bytes(instruction: Instruction, table: Mapping[str, Instruction], computations: Mapping) -> int:
    """Bytes an instruction writes: of an array that is changed in place, those changed."""
    if instruction.opcode == "dynamic-update-slice":
        return sum(shape_bytes(table[name].shape) for name in instruction.operands[1:2] if name in table)
    if instruction.opcode == "fusion":
        inside = _inside(instruction, computations)
        root = next((i for i in inside.values() if i.root), None)
        while root is not None and root.opcode == "bitcast" and root.operands:
            root = inside.get(root.operands[0])
        if root is not None and root.opcode in ("dynamic-update-slice", "fusion"):
            return _written_bytes(root, inside, computations)
    return shape_bytes(instruction.shape)


def _inside(fusion: Instruction, computations: Mapping) -> Mapping[str, Instruction]:
    return next((computations.get(name, {}) for name, _ in _called(fusion, computations, _Totals())), {})


def _drawn_bytes(position: int, table: Mapping[str, Instruction], computations: Mapping) -> int | None:
    """Bytes that a computation draws from its parameter; None if it reads all of it."""
    names = {i.name for i in table.values() if i.opcode == "parameter" and i.inside == str(position)}
    drawn = 0
    for user in table.values():  # in the order of the text: what an instruction takes stands before it
        taken = [place for place, name in enumerate(user.operands) if name in names]
        if not taken:
            continue
        if user.opcode in ("bitcast", "convert", "reshape", "transpose"):
            names.add(user.name)
        elif user.opcode in _DRAWS and taken == [0]:
            drawn += shape_bytes(user.shape)
        elif user.opcode == "fusion":
            parts = [_drawn_bytes(place, _inside(user, computations), computations) for place in taken]
            if None in parts:
                return None
            drawn += sum(parts)
        elif user.opcode != "dynamic-update-slice" or taken != [0]:
            return None
    return drawn if names else None


def _flops(instruction: Instruction, table: Mapping[str, Instruction]) -> float:
    """XLA's own rules: two operations a product, an operation an element elsewhere, none for moving data."""
    opcode = instruction.opcode
    if opcode in _FREE or opcode in _MOVES or opcode.removesuffix("-start") in KINDS:
        return 0.0
    size = sum(elements(dims) for _, dims in SHAPE.findall(instruction.shape))
    shapes = [dims_of(table[name].shape) for name in instruction.operands if name in table]
    if opcode == "dot" and shapes:
        contracted = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", instruction.attributes)
        dims = [int(d) for d in contracted.group(1).split(",") if d] if contracted else []
        return 2.0 * size * math.prod(shapes[0][d] for d in dims)
    if opcode == "convolution" and len(shapes) > 1:
        return 2.0 * size * _convolution_depth(instruction.attributes, shapes[1])
    if opcode == "reduce" and shapes:
        return float(math.prod(shapes[0]))
    if opcode in ("reduce-window", "select-and-scatter"):
        return size * _window(instruction.attributes)
    if opcode == "scatter" and shapes:
        return float(math.prod(shapes[-1]))  # the rows that are added
    if opcode == "sort":
        return size * math.ceil(math.log2(max(2, size)))
    return float(size)


def _convolution_depth(attributes: str, kernel: tuple[int, ...]) -> float:
    """Products behind one output: the kernel's input features times its window, less what dilation makes zero."""
    labels = re.search(r"dim_labels=\w+_(\w+)->", attributes)
    if labels is None or "i" not in labels.group(1):
        return 1.0
    dilation = _window(attributes, "lhs_dilate")
    return kernel[labels.group(1).index("i")] * max(1.0, _window(attributes) / dilation)


def _window(attributes: str, what: str = "size") -> int:
    numbers = re.search(rf"[{{ ]{what}=([\dx]+)", attributes)
    return math.prod(map(int, numbers.group(1).split("x"))) if numbers else 1
