"""Parse the text of a compiled program: its computations, the shapes in it, and the trip counts of its loops.

XLA promises nothing about that text (``compiled.as_text()``); what is not understood is left out. A line such as ::

    ROOT %dot.1 = f32[8,4]{1,0} dot(%a, %b), lhs_contracting_dims={1}, rhs_contracting_dims={0}

is one :class:`Instruction`: name, shape of the result, opcode, operands in brackets, and attributes.
"""

import dataclasses
import math
import re
from collections.abc import Mapping

from causalrep.arithmetic import ceil_div

# Instructions that move no data, or only stand for the instructions that they call.
FREE = frozenset(
    {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "call", "conditional", "after-all"}
    | {"copy-done", "all-gather-done", "all-reduce-done", "collective-permute-done", "async-done", "async-update"}
)
# Element types whose names do not end in their number of bits.
_BITS = {"pred": 8, "token": 0, "opaque": 0}
SHAPE = re.compile(r"([a-z]\w*?)\[([\d,<=]*)\]")
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")
_OPCODE = re.compile(r"\s*([a-z][\w\-]*)\(")
_OPERAND = re.compile(r"%([\w.\-]+)")
_BRACKET = re.compile(r"[()]")
_TRIP_COUNT = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of the text.

    Attributes:
        name: Its name, unique in its computation.
        opcode: ``"dot"``, ``"fusion"``, ...
        shape: Shape of its result, as XLA writes it.
        operands: Names of its operands.
        attributes: The text behind the operands.
        inside: The text between the brackets: operands, a constant, or a parameter's position.
        root: Whether it is the result of its computation.
    """

    name: str
    opcode: str
    shape: str
    operands: tuple[str, ...]
    attributes: str
    inside: str
    root: bool


def parse(text: str) -> tuple[dict[str, dict[str, Instruction]], str]:
    """Instructions of each computation by name, and the name of the entry computation.

    Raises:
        ValueError: If the text holds no entry computation.
    """
    computations: dict[str, dict[str, Instruction]] = {}
    current, entry = None, None
    for line in text.splitlines():
        match = _INSTRUCTION.match(line)
        if match is not None and current is not None:
            instruction = _instruction(match)
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


def trip_count(loop: Instruction, computations: Mapping[str, Mapping[str, Instruction]]) -> int | None:
    """Number of times a loop's body runs, or None if data decide.

    It is taken from the compiler's note, or else from a condition ``counter < limit`` whose start, limit and step are
    constants: ``(limit - start) / step``, rounded up.
    """
    noted = _TRIP_COUNT.search(loop.attributes)
    if noted:
        return int(noted.group(1))
    # The loop's state is one tuple. The condition compares two of its entries (or one with a constant), the caller's
    # tuple gives their values on entry, and the body's tuple says how they change.
    names = dict(re.findall(r"(condition|body)=%?([\w.\-]+)", loop.attributes))
    condition, body = computations.get(names.get("condition", ""), {}), computations.get(names.get("body", ""), {})
    caller = next((t for t in computations.values() if t.get(loop.name) is loop), {})
    test = _root(condition)
    if test is None or test.opcode != "compare" or "direction=LT" not in test.attributes:
        return None
    counter, bound = (_source(condition, name) for name in test.operands)
    index = _tuple_index(counter)
    if index is None:
        return None
    start = _entering(loop, caller, index)
    limit, bound_index = _constant(bound), _tuple_index(bound)
    if limit is None and bound_index is not None and _unchanged(body, bound_index):
        limit = _entering(loop, caller, bound_index)
    step = _step(body, index, loop, caller)
    if start is None or limit is None or step is None or step <= 0:
        return None
    return max(0, ceil_div(limit - start, step))


def shape_bytes(shape: str) -> int:
    """Bytes of an array or tuple shape as XLA writes it.

    >>> shape_bytes("(f32[2,64]{1,0:T(8,128)S(1)}, bf16[3], /*index=2*/pred[], u32[]{:S(2)})")
    523
    """
    return sum(elements(dims) * _width(dtype) // 8 for dtype, dims in SHAPE.findall(shape))


def dims_of(shape: str) -> tuple[int, ...]:
    """Lengths of the axes of an array shape.

    >>> dims_of("f32[2,64]{1,0}")
    (2, 64)
    """
    match = SHAPE.search(shape)
    # "<=8" is a bounded dynamic axis.
    return tuple(int(d.lstrip("<=")) for d in match.group(2).split(",") if d) if match else ()


def elements(dims: str) -> int:
    """Number of entries of an array with axes of these lengths.

    >>> elements("2,64"), elements("")
    (128, 1)
    """
    return math.prod(int(d.lstrip("<=")) for d in dims.split(",") if d)


def tuple_parts(shape: str) -> list[str]:
    """The shapes in a tuple shape.

    >>> tuple_parts("(f32[2]{0}, pred[])")
    ['f32[2]{0}', ' pred[]']
    """
    if not shape.startswith("("):
        return [shape]
    # Commas also separate axes and layouts; those of the outer tuple are at depth 1.
    parts, depth, last = [], 0, 1
    for index, letter in enumerate(shape):
        depth += (letter in "({[") - (letter in ")}]")
        if (letter == "," and depth == 1) or depth == 0:
            parts.append(shape[last:index])
            last = index + 1
    return parts


def _instruction(match: re.Match) -> Instruction | None:
    rest = match.group(3)
    # A tuple's shape ends with its bracket, an array's with the first space.
    end = _closing(rest, 0) if rest.startswith("(") else rest.find(" ") - 1
    opcode = _OPCODE.match(rest, end + 1)
    if end < 0 or opcode is None:
        return None
    start = opcode.end() - 1
    stop = _closing(rest, start)
    inside = rest[start + 1 : stop]
    operands = tuple(_OPERAND.findall(inside))
    return Instruction(
        match.group(2), opcode.group(1), rest[: end + 1], operands, rest[stop + 1 :], inside, bool(match.group(1))
    )


def _closing(text: str, start: int) -> int:
    """Position of the bracket that closes the one at ``start``."""
    # Most lines have no bracket inside: a search is much faster than counting, and programs have megabytes of text.
    close = text.find(")", start)
    if text.find("(", start + 1, close) < 0:
        return close if close >= 0 else len(text)
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if bracket.group() == "(" else -1
        if depth == 0:
            return bracket.start()
    return len(text)


def _step(body: Mapping[str, Instruction], index: int, loop: Instruction, caller: Mapping) -> int | None:
    """The counter's increment: ``counter + constant`` at its place in the body's result."""
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


def _entering(loop: Instruction, caller: Mapping[str, Instruction], index: int) -> int | None:
    """The constant that an entry of the loop's state has before the first iteration."""
    state = _source(caller, loop.operands[0]) if loop.operands else None
    if state is None or state.opcode != "tuple" or index >= len(state.operands):
        return None
    return _constant(_source(caller, state.operands[index]))


def _unchanged(body: Mapping[str, Instruction], index: int) -> bool:
    """Whether the body returns an entry of the loop's state as it was."""
    root = _root(body)
    if root is None or root.opcode != "tuple" or index >= len(root.operands):
        return False
    return _tuple_index(_source(body, root.operands[index])) == index


def _source(table: Mapping[str, Instruction], name: str) -> Instruction | None:
    """The instruction that makes a value, seen through copies of it."""
    source = table.get(name)
    while source is not None and source.opcode in ("copy", "bitcast", "convert") and source.operands:
        source = table.get(source.operands[0])
    return source


def _root(table: Mapping[str, Instruction]) -> Instruction | None:
    return next((instruction for instruction in table.values() if instruction.root), None)


def _tuple_index(instruction: Instruction | None) -> int | None:
    if instruction is None or instruction.opcode != "get-tuple-element":
        return None
    match = re.search(r"index=(\d+)", instruction.attributes)
    return int(match.group(1)) if match else None


def _constant(instruction: Instruction | None) -> int | None:
    if instruction is None or instruction.opcode != "constant":
        return None
    return int(instruction.inside) if re.fullmatch(r"-?\d+", instruction.inside) else None


def _width(dtype: str) -> int:
    """Bits of an element type, from its name: f32, bf16, s8, u4, f8e4m3fn, c64."""
    if dtype in _BITS:
        return _BITS[dtype]
    match = re.match(r"[a-z]+(\d+)", dtype)
    return int(match.group(1)) if match else 0
