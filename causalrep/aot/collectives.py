"""The vocabulary of communication between devices: the kinds of collective operation, and one such operation."""

import dataclasses

KINDS = (
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "ragged-all-to-all",
    "reduce-scatter",
)


@dataclasses.dataclass(frozen=True)
class Collective:
    """One collective operation of a compiled program.

    Attributes:
        kind: One of :data:`KINDS`.
        bytes: The larger of what one device sends in and what it gets out.
        count: Number of times that one call of the program runs it.
        source: The JAX operation that it comes from, if the compiler recorded one; else empty.
    """

    kind: str
    bytes: int
    count: int
    source: str = ""
