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

KINDS = (
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "ragged-all-to-all",
    "reduce-scatter",
)
_BITS = {"pred": 8, "token": 0, "opaque": 0}
_SHAPE = re.compile(r"([a-z]\w*?)\[([\d,<=]*)\]")
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")
_OPCODE = re.compile(r"\s*([a-z][\w\-]*)\(")
_CALLS = re.compile(r"(calls|to_apply|condition|body|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"(?:branch_computations|called_computations)=\{([^}]*)\}")
_TRIP_COUNT = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
# One all-gather that TPUs spread over several fusions is written once in each: the first piece carries -1.
_LATER_PIECE = re.compile(r'"async_collective_fusion_config":\{"flag_start":"(?!-1")')
# What moves no data, or only stands for the instructions it calls.
_FREE = frozenset(
    {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "call", "conditional", "after-all"}
    | {"copy-done", "all-gather-done", "all-reduce-done", "collective-permute-done", "async-done", "async-update"}
)
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
        flop_factor: FLOPs with loops multiplied out over FLOPs as XLA counts them.
        byte_factor: The same for bytes moved.
        open_loops: Loops whose trip count is unknown, counted once.
        kernels: Calls of hand-written kernels by name, whose FLOPs XLA does not know.
        fast_products: Matrix products not asked for in full precision, which TPUs compute in one bfloat16 pass.
    """

    collectives: tuple[Collective, ...]
    flop_factor: float
    byte_factor: float
    open_loops: int
    kernels: Mapping[str, int]
    fast_products: int


@dataclasses.dataclass(frozen=True)
class _Instruction:
    name: str
    opcode: str
    shape: str
    operands: tuple[str, ...]
    attributes: str
    inside: str
    root: bool


@dataclasses.dataclass
class _Totals:
    flops: float = 0.0
    bytes: float = 0.0
    flops_once: float = 0.0
    bytes_once: float = 0.0
    open_loops: int = 0
    fast_products: int = 0
    collectives: dict[tuple[str, int, str], int] = dataclasses.field(default_factory=lambda: defaultdict(int))
    kernels: dict[str, int] = dataclasses.field(default_factory=lambda: defaultdict(int))

    def add(self, other: "_Totals", times: int = 1) -> None:
        self.flops += times * other.flops
        self.bytes += times * other.bytes
        self.flops_once += other.flops_once
        self.bytes_once += other.bytes_once
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
    computations, entry = _parse(text)
    known: dict[str, _Totals] = {}

    def total(name: str) -> _Totals:
        if name not in known:
            known[name] = totals = _Totals()
            table = computations.get(name, {})
            for instruction in table.values():
                _own(instruction, table, totals)
                if instruction.opcode == "conditional":
                    sides = [total(name) for name, _ in _called(instruction, computations, totals)]
                    totals.add(_either(sides))
                    continue
                for called, times in _called(instruction, computations, totals):
                    if called in computations:
                        part = total(called)
                        if instruction.opcode == "fusion":
                            # A fusion reads its operands and writes its result; what is inside stays on chip.
                            part = dataclasses.replace(part, bytes=0.0, bytes_once=0.0)
                        totals.add(part, times)
        return known[name]

    whole = total(entry)
    collectives = [Collective(k, b, n, s) for (k, b, s), n in whole.collectives.items()]
    return HloSummary(
        collectives=tuple(sorted(collectives, key=lambda c: (-c.bytes * c.count, c.kind, c.source))),
        flop_factor=whole.flops / whole.flops_once if whole.flops_once else 1.0,
        byte_factor=whole.bytes / whole.bytes_once if whole.bytes_once else 1.0,
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
        flops_once=max((side.flops_once for side in sides), default=0.0),
        bytes_once=max((side.bytes_once for side in sides), default=0.0),
    )


def shape_bytes(shape: str) -> int:
    """Bytes of an array or tuple shape as XLA writes it.

    >>> shape_bytes("(f32[2,64]{1,0:T(8,128)S(1)}, bf16[3], /*index=2*/pred[], u32[]{:S(2)})")
    523
    """
    return sum(_elements(dims) * _width(dtype) // 8 for dtype, dims in _SHAPE.findall(shape))


def _parse(text: str) -> tuple[dict[str, dict[str, _Instruction]], str]:
    computations: dict[str, dict[str, _Instruction]] = {}
    current, entry = None, None
    for line in text.splitlines():
        found = _INSTRUCTION.match(line)
        if found is not None and current is not None:
            instruction = _instruction(found)
            if instruction is not None:
                current[instruction.name] = instruction
            continue
        header = _COMPUTATION.match(line)
        if header is not None and not line.startswith("HloModule"):
            current = computations.setdefault(header.group(2), {})
            entry = header.group(2) if header.group(1) else entry
    if entry is None:
        raise ValueError("the text holds no ENTRY computation")
    return computations, entry


def _instruction(found: re.Match) -> _Instruction | None:
    rest = found.group(3)
    end = _closing(rest, 0) if rest.startswith("(") else rest.find(" ") - 1
    opcode = _OPCODE.match(rest, end + 1)
    if end < 0 or opcode is None:
        return None
    start = opcode.end() - 1
    stop = _closing(rest, start)
    inside = rest[start + 1 : stop]
    operands = tuple(re.findall(r"%([\w.\-]+)", inside))
    return _Instruction(
        found.group(2), opcode.group(1), rest[: end + 1], operands, rest[stop + 1 :], inside, bool(found.group(1))
    )


def _closing(text: str, start: int) -> int:
    depth = 0
    for index in range(start, len(text)):
        depth += (text[index] == "(") - (text[index] == ")")
        if depth == 0:
            return index
    return len(text)


def _own(instruction: _Instruction, table: Mapping[str, _Instruction], totals: _Totals) -> None:
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
    flops = _flops(instruction, table)
    totals.flops += flops
    totals.flops_once += flops
    if opcode not in _FREE:
        moved = shape_bytes(instruction.shape) + _operand_bytes(instruction, table)
        totals.bytes += moved
        totals.bytes_once += moved
    if opcode in ("dot", "convolution") and "operand_precision={high" not in instruction.attributes:
        operands = [table[name].shape for name in instruction.operands if name in table]
        totals.fast_products += any(shape.startswith(("f32", "bf16")) for shape in operands)


def _called(instruction: _Instruction, computations: Mapping, totals: _Totals) -> list[tuple[str, int]]:
    """Computations an instruction runs, each with how often."""
    if instruction.opcode in ("async-update", "async-done"):
        return []  # they name the computation that async-start already ran
    called = dict(_CALLS.findall(instruction.attributes))
    if instruction.opcode == "while":
        trips = _trip_count(instruction, computations)
        totals.open_loops += trips is None
        times = 1 if trips is None else trips
        return [(called[part], times + extra) for part, extra in (("condition", 1), ("body", 0)) if part in called]
    if instruction.opcode in _APPLY or instruction.opcode.removesuffix("-start") in KINDS:
        return []  # their computation is one addition or comparison, counted with the instruction
    groups = _BRANCHES.findall(instruction.attributes)
    branches = [name.strip().lstrip("%") for group in groups for name in group.split(",")]
    return [(name, 1) for name in [*called.values(), *branches] if name]


def _trip_count(loop: _Instruction, computations: Mapping[str, Mapping[str, _Instruction]]) -> int | None:
    """How often a loop runs, from the compiler's note or from ``counter < bound``; None if data decide."""
    noted = _TRIP_COUNT.search(loop.attributes)
    if noted:
        return int(noted.group(1))
    names = dict(re.findall(r"(condition|body)=%?([\w.\-]+)", loop.attributes))
    condition, body = computations.get(names.get("condition"), {}), computations.get(names.get("body"), {})
    caller = next((t for t in computations.values() if t.get(loop.name) is loop), {})
    test = _root(condition)
    if test is None or test.opcode != "compare" or "direction=LT" not in test.attributes:
        return None
    counter, bound = (_source(condition, name) for name in test.operands)
    index = _tuple_index(counter)
    if index is None:
        return None
    start = _entering(loop, caller, index)
    limit = _constant(bound)
    if limit is None and _tuple_index(bound) is not None and _unchanged(body, _tuple_index(bound)):
        limit = _entering(loop, caller, _tuple_index(bound))
    step = _step(body, index, loop, caller)
    known = start is not None and limit is not None and step is not None and step > 0
    return max(0, math.ceil((limit - start) / step)) if known else None


def _step(body: Mapping[str, _Instruction], index: int, loop: _Instruction, caller: Mapping) -> int | None:
    """By how much the counter grows: ``counter + constant`` in the loop's result."""
    root = _root(body)
    if root is None or root.opcode != "tuple" or index >= len(root.operands):
        return None
    update = _source(body, root.operands[index])
    if update is None or update.opcode != "add":
        return None
    parts = [_source(body, name) for name in update.operands]
    others = [part for part in parts if _tuple_index(part) != index]
    if len(others) != 1:
        return None
    step, place = _constant(others[0]), _tuple_index(others[0])
    if step is None and place is not None and _unchanged(body, place):
        step = _entering(loop, caller, place)
    return step


def _entering(loop: _Instruction, caller: Mapping[str, _Instruction], index: int) -> int | None:
    state = _source(caller, loop.operands[0]) if loop.operands else None
    if state is None or state.opcode != "tuple" or index >= len(state.operands):
        return None
    return _constant(_source(caller, state.operands[index]))


def _unchanged(body: Mapping[str, _Instruction], index: int) -> bool:
    root = _root(body)
    if root is None or root.opcode != "tuple" or index >= len(root.operands):
        return False
    return _tuple_index(_source(body, root.operands[index])) == index


def _source(table: Mapping[str, _Instruction], name: str) -> _Instruction | None:
    """The instruction a value comes from, behind copies of it."""
    found = table.get(name)
    while found is not None and found.opcode in ("copy", "bitcast", "convert") and found.operands:
        found = table.get(found.operands[0])
    return found


def _root(table: Mapping[str, _Instruction]) -> _Instruction | None:
    return next((instruction for instruction in table.values() if instruction.root), None)


def _tuple_index(instruction: _Instruction | None) -> int | None:
    if instruction is None or instruction.opcode != "get-tuple-element":
        return None
    found = re.search(r"index=(\d+)", instruction.attributes)
    return int(found.group(1)) if found else None


def _constant(instruction: _Instruction | None) -> int | None:
    if instruction is None or instruction.opcode != "constant":
        return None
    return int(instruction.inside) if re.fullmatch(r"-?\d+", instruction.inside) else None


def _collective_bytes(instruction: _Instruction, table: Mapping[str, _Instruction]) -> int:
    result = instruction.shape
    if instruction.opcode in ("all-gather-start", "collective-permute-start"):
        # The tuple is (operand, result, ...): count one of them, not their sum.
        parts = _tuple_parts(result)
        result = parts[1] if len(parts) > 1 else result
    return max(shape_bytes(result), _operand_bytes(instruction, table))


def _tuple_parts(shape: str) -> list[str]:
    if not shape.startswith("("):
        return [shape]
    parts, depth, last = [], 0, 1
    for index, letter in enumerate(shape):
        depth += (letter in "({[") - (letter in ")}]")
        if (letter == "," and depth == 1) or depth == 0:
            parts.append(shape[last:index])
            last = index + 1
    return parts


def _operand_bytes(instruction: _Instruction, table: Mapping[str, _Instruction]) -> int:
    return sum(shape_bytes(table[name].shape) for name in instruction.operands if name in table)


def _flops(instruction: _Instruction, table: Mapping[str, _Instruction]) -> float:
    """Enough of XLA's rules to weigh loop bodies against each other: products, and one operation an element else."""
    opcode = instruction.opcode
    if opcode in _FREE or opcode in ("fusion", "copy", "copy-start", "custom-call", "broadcast", "iota"):
        return 0.0
    size = sum(_elements(dims) for _, dims in _SHAPE.findall(instruction.shape))
    shapes = [_dims(table[name].shape) for name in instruction.operands if name in table]
    if opcode == "dot" and shapes:
        contracted = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", instruction.attributes)
        dims = [int(d) for d in contracted.group(1).split(",") if d] if contracted else []
        return 2.0 * size * math.prod(shapes[0][d] for d in dims)
    if opcode == "convolution" and len(shapes) > 1:
        return 2.0 * size * _convolution_depth(instruction.attributes, shapes[1])
    if opcode.startswith("reduce") and shapes:
        return float(math.prod(shapes[0]))
    return float(size)


def _convolution_depth(attributes: str, kernel: tuple[int, ...]) -> float:
    """Products behind one output: the kernel's input features times its window, less what dilation makes zero."""
    labels = re.search(r"dim_labels=\w+_(\w+)->", attributes)
    if labels is None or "i" not in labels.group(1):
        return 1.0
    found = (re.search(pattern, attributes) for pattern in (r"[{ ]size=([\dx]+)", r"lhs_dilate=([\dx]+)"))
    window, dilation = (math.prod(map(int, numbers.group(1).split("x"))) if numbers else 1 for numbers in found)
    return kernel[labels.group(1).index("i")] * max(1.0, window / dilation)


def _dims(shape: str) -> tuple[int, ...]:
    found = _SHAPE.search(shape)
    return tuple(int(d.lstrip("<=")) for d in found.group(2).split(",") if d) if found else ()


def _elements(dims: str) -> int:
    return math.prod(int(d.lstrip("<=")) for d in dims.split(",") if d)


def _width(dtype: str) -> int:
    """Bits of an element type, from its name: f32, bf16, s8, u4, f8e4m3fn, c64."""
    if dtype in _BITS:
        return _BITS[dtype]
    found = re.match(r"[a-z]+(\d+)", dtype)
    return int(found.group(1)) if found else 0
