"""Bytes that one instruction of a compiled program reads and writes.

Of rows drawn from many those drawn, of an array that is changed in place those changed: what fits by mini-batches and
loops that store their history do.
"""

import re
from collections.abc import Mapping

from causalrep.aot.hlo.text import FREE, Instruction, shape_bytes

_INSIDE = re.compile(r"\bcalls=%?([\w.\-]+)")
# What takes some rows of its first operand.
_DRAWS = frozenset({"gather", "dynamic-slice"})
# What a compiler does without moving anything, or on the way to its user.
_SAME = frozenset({"bitcast", "convert", "reshape", "transpose"})


class Traffic:
    """What the instructions of a program move, those of the computations they call left out.

    Args:
        computations: Instructions of each computation by name.
    """

    def __init__(self, computations: Mapping[str, Mapping[str, Instruction]]):
        self._computations = computations
        self._drawn: dict[str, dict[int, int | None]] = {}

    def bytes(self, instruction: Instruction, table: Mapping[str, Instruction]) -> int:
        """Bytes an instruction reads and writes; ``table`` holds the instructions of its computation by name."""
        if instruction.opcode in FREE:
            return 0
        return self._read(instruction, table) + self._written(instruction, table)

    def _read(self, instruction: Instruction, table: Mapping[str, Instruction]) -> int:
        if instruction.opcode in _DRAWS:
            return shape_bytes(instruction.shape)
        if instruction.opcode == "dynamic-update-slice":
            return self._written(instruction, table)
        if instruction.opcode != "fusion":
            return operand_bytes(instruction, table)
        drawn, read = self._draws(_inside(instruction)), 0
        for position, name in enumerate(instruction.operands):
            whole = shape_bytes(table[name].shape) if name in table else 0
            part = drawn.get(position)
            read += whole if part is None else min(whole, part)
        return read

    def _written(self, instruction: Instruction, table: Mapping[str, Instruction]) -> int:
        if instruction.opcode == "dynamic-update-slice":
            return sum(shape_bytes(table[name].shape) for name in instruction.operands[1:2] if name in table)
        if instruction.opcode == "fusion":
            inside = self._computations.get(_inside(instruction), {})
            root = next((i for i in inside.values() if i.root), None)
            while root is not None and root.opcode == "bitcast" and root.operands:
                root = inside.get(root.operands[0])
            if root is not None and root.opcode in ("dynamic-update-slice", "fusion"):
                return self._written(root, inside)
        return shape_bytes(instruction.shape)

    def _draws(self, name: str) -> dict[int, int | None]:
        """Bytes that a computation draws from each of its parameters; None from one that it reads whole."""
        if name not in self._drawn:
            self._drawn[name] = drawn = {}
            parameters: dict[str, int] = {}  # names under which each parameter goes
            # In the order of the text: what an instruction takes stands before it.
            for user in self._computations.get(name, {}).values():
                if user.opcode == "parameter" and user.inside.isdigit():
                    parameters[user.name] = int(user.inside)
                    drawn[int(user.inside)] = 0
                    continue
                taken: dict[int, list[int]] = {}
                for place, operand in enumerate(user.operands):
                    if operand in parameters:
                        taken.setdefault(parameters[operand], []).append(place)
                for position, places in taken.items():
                    if user.opcode in _SAME:
                        parameters[user.name] = position
                        continue
                    part = self._taken(user, places)
                    known = drawn[position]
                    drawn[position] = None if part is None or known is None else known + part
        return self._drawn[name]

    def _taken(self, user: Instruction, places: list[int]) -> int | None:
        """Bytes an instruction draws from an operand that stands at these places; None if it reads all of it."""
        if user.opcode in _DRAWS and places == [0]:
            return shape_bytes(user.shape)
        if user.opcode == "dynamic-update-slice" and places == [0]:
            return 0
        if user.opcode == "fusion":
            parts = [self._draws(_inside(user)).get(place) for place in places]
            return None if None in parts else sum(parts)
        return None


def operand_bytes(instruction: Instruction, table: Mapping[str, Instruction]) -> int:
    """Bytes of all that an instruction takes."""
    return sum(shape_bytes(table[name].shape) for name in instruction.operands if name in table)


def _inside(fusion: Instruction) -> str:
    found = _INSIDE.search(fusion.attributes)
    return found.group(1) if found else ""
