"""Published peaks of the chips that programs are compiled for."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
    """Published peaks of one chip, and the memory that a program may use.

    Attributes:
        name: Its name in a topology, such as ``"v5e"``.
        flops: Peak bfloat16 operations per second.
        memory: Bytes of device memory that the compiler lets a program use.
        bandwidth: Bandwidth of the device memory, bytes per second.
        links: Bytes per second that a chip can send to its neighbors over all links, in one direction.
    """

    name: str
    flops: float
    memory: int
    bandwidth: float
    links: float


_GIB = 2**30

# Keyed by JAX's device kind. Peaks, memory bandwidth and interconnect: cloud.google.com/tpu/docs, the pages v4, v5e,
# v5p and v6e, read 2026-11. Interconnect is one direction, half of what they call bidirectional (v4: six links of
# 50 GB/s, Jouppi et al. 2023, ISCA). Memory: the limit that libtpu 0.0.51 states in its error if a program needs more.
CHIPS = {
    "TPU v4": Chip("v4", 275e12, int(30.75 * _GIB), 1200e9, 300e9),
    "TPU v5 lite": Chip("v5e", 197e12, int(15.75 * _GIB), 819e9, 200e9),
    "TPU v5": Chip("v5p", 459e12, int(95.73 * _GIB), 2765e9, 600e9),
    "TPU v6 lite": Chip("v6e", 918e12, int(31.24 * _GIB), 1600e9, 400e9),
}
