"""Bytes that one instruction of a compiled program reads and writes.

A gather counts only the rows it reads, an in-place update only the elements it writes. Fits by mini-batches and loops
that store their history consist of both, and counting whole arrays would overstate their traffic many times.
"""

import re
from collections.abc import Mapping

from causalrep.aot.hlo.text import FREE, Instruction, shape_bytes

_FUSED_COMPUTATION = re.compile(r"\bcalls=%?([\w.\-]+)")
# Instructions that read some rows of their first operand.
_PARTIAL_READS = frozenset({"gather", "dynamic-slice"})
# Instructions that the compiler does without moving data, or on the way to the instruction that uses the result.
_PASS_THROUGH = frozenset({"bitcast", "convert", "reshape", "transpose"})


class Traffic:
    """The bytes that each instruction moves, not counting the computations it calls.

    Args:
        computations: Instructions of each computation by name.
    """

    def __init__(self, computations: Mapping[str, Mapping[str, Instruction]]):
        self._computations = computations
        self._reads: dict[str, dict[int, int | None]] = {}

    def bytes(self, instruction: Instruction, table: Mapping[str, Instruction]) -> int:
        """Bytes that an instruction reads and writes; ``table`` holds the instructions of its computation by name."""
        if instruction.opcode in FREE:
            return 0
        return self._read(instruction, table) + self._written(instruction, table)

    def _read(self, instruction: Instruction, table: Mapping[str, Instruction]) -> int:
        if instruction.opcode in _PARTIAL_READS:
            return shape_bytes(instruction.shape)  # as many rows as the result has
        if instruction.opcode == "dynamic-update-slice":
            return self._written(instruction, table)  # the new elements; the rest stays where it is
        if instruction.opcode != "fusion":
            return operand_bytes(instruction, table)
        reads, total = self._parameter_reads(_fused_computation(instruction)), 0
        for position, name in enumerate(instruction.operands):
            whole = shape_bytes(table[name].shape) if name in table else 0
            part = reads.get(position)
            # Several partial reads of one operand may overlap: no more than the whole is read from memory.
            total += whole if part is None else min(whole, part)
        return total

    def _written(self, instruction: Instruction, table: Mapping[str, Instruction]) -> int:
        if instruction.opcode == "dynamic-update-slice":
            # dynamic-update-slice(array, update, start...): only the update is written.
            return sum(shape_bytes(table[name].shape) for name in instruction.operands[1:2] if name in table)
        if instruction.opcode == "fusion":
            # A fusion that ends in an in-place update writes what the update writes.
            inside = self._computations.get(_fused_computation(instruction), {})
            root = next((i for i in inside.values() if i.root), None)
            while root is not None and root.opcode == "bitcast" and root.operands:
                root = inside.get(root.operands[0])
            if root is not None and root.opcode in ("dynamic-update-slice", "fusion"):
                return self._written(root, inside)
        return shape_bytes(instruction.shape)

    def _parameter_reads(self, name: str) -> dict[int, int | None]:
        """Bytes that a computation reads of each of its parameters, by position; None where it reads all of them."""
        if name not in self._reads:
            reads: dict[int, int | None] = {}
            self._reads[name] = reads
            position_of: dict[str, int] = {}  # a parameter under its own name and under its pass-through copies' names
            # One pass is enough: in HLO text an instruction comes after its operands.
            for user in self._computations.get(name, {}).values():
                if user.opcode == "parameter" and user.inside.isdigit():
                    position_of[user.name] = int(user.inside)
                    reads[int(user.inside)] = 0
                    continue
                uses: dict[int, list[int]] = {}  # parameter -> places among this instruction's operands
                for place, operand in enumerate(user.operands):
                    if operand in position_of:
                        uses.setdefault(position_of[operand], []).append(place)
                for position, places in uses.items():
                    if user.opcode in _PASS_THROUGH:
                        position_of[user.name] = position
                        continue
                    part, before = self._read_at(user, places), reads[position]
                    reads[position] = None if part is None or before is None else before + part
        return self._reads[name]

    def _read_at(self, user: Instruction, places: list[int]) -> int | None:
        """Bytes an instruction reads of the operand that stands at these places; None if it reads all of it."""
        if user.opcode in _PARTIAL_READS and places == [0]:
            return shape_bytes(user.shape)
        if user.opcode == "dynamic-update-slice" and places == [0]:
            return 0
        if user.opcode == "fusion":
            parts = [self._parameter_reads(_fused_computation(user)).get(place) for place in places]
            known = [part for part in parts if part is not None]
            return sum(known) if len(known) == len(parts) else None
        return None


def operand_bytes(instruction: Instruction, table: Mapping[str, Instruction]) -> int:
    """Bytes of all operands of an instruction."""
    return sum(shape_bytes(table[name].shape) for name in instruction.operands if name in table)


def _fused_computation(fusion: Instruction) -> str:
    match = _FUSED_COMPUTATION.search(fusion.attributes)
    return match.group(1) if match else ""
