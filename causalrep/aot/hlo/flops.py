"""Floating-point operations of one instruction of a compiled program, by XLA's own rules.

Two operations a product of a matrix product or convolution, one an element elsewhere, none for moving data. On GPUs the
products are calls of vendor libraries, whose arguments say their size.
"""

import math
import re
from collections.abc import Mapping

from causalrep.aot.hlo.text import FREE, KINDS, SHAPE, Instruction, dims_of, elements, tuple_parts

# Library calls that are matrix products or convolutions.
PRODUCTS = frozenset(
    {"__cublas$gemm", "__cublas$lt$matmul", "__cudnn$convForward", "__cudnn$convBiasActivationForward"}
    | {"__cudnn$convBackwardInput", "__cudnn$convBackwardFilter"}
)
# What computes nothing, or what the instructions it calls compute, or what cannot be known.
_MOVES = frozenset(
    {"fusion", "copy", "copy-start", "async-start", "broadcast", "iota", "reshape", "transpose", "reverse", "slice"}
    | {"dynamic-slice", "dynamic-update-slice", "concatenate", "pad", "gather", "bitcast-convert", "partition-id"}
    | {"replica-id", "optimization-barrier", "infeed", "outfeed", "send", "recv", "rng-bit-generator"}
)


def flops(instruction: Instruction, table: Mapping[str, Instruction]) -> float:
    """Operations of an instruction, those of the computations it calls left out.

    Args:
        instruction: The instruction.
        table: The instructions of its computation by name.
    """
    opcode = instruction.opcode
    if opcode in FREE or opcode in _MOVES or opcode.removesuffix("-start") in KINDS:
        return 0.0
    size = sum(elements(dims) for _, dims in SHAPE.findall(instruction.shape))
    shapes = [dims_of(table[name].shape) for name in instruction.operands if name in table]
    if opcode == "custom-call":
        return _library(instruction, shapes)
    if opcode == "dot" and shapes:
        return 2.0 * size * _contracted(instruction.attributes, shapes[0])
    if opcode == "convolution" and len(shapes) > 1:
        return 2.0 * size * _depth(instruction.attributes, shapes[1])
    if opcode == "reduce" and shapes:
        return float(math.prod(shapes[0]))
    if opcode in ("reduce-window", "select-and-scatter"):
        return float(size * _window(instruction.attributes))
    if opcode == "scatter" and shapes:
        return float(math.prod(shapes[-1]))  # the rows that are added
    if opcode == "sort":
        return float(size * math.ceil(math.log2(max(2, size))))
    return float(size)


def _library(call: Instruction, shapes: list[tuple[int, ...]]) -> float:
    """Operations of a vendor's product; 0 of any other call."""
    target = re.search(r'custom_call_target="([^"]*)"', call.attributes)
    if target is None or target.group(1) not in PRODUCTS or len(shapes) < 2:
        return 0.0
    result = dims_of(tuple_parts(call.shape)[0])  # beside it may stand a workspace
    if target.group(1).startswith("__cublas"):
        return 2.0 * math.prod(result) * _contracted(call.attributes, shapes[0])
    # The three convolutions of one layer cost the same: outputs x window x input features.
    output, kernel = {
        "__cudnn$convBackwardInput": (shapes[0], shapes[1]),
        "__cudnn$convBackwardFilter": (shapes[1], result),
    }.get(target.group(1), (result, shapes[1]))
    return 2.0 * math.prod(output) * _depth(call.attributes, kernel)


def _contracted(attributes: str, left: tuple[int, ...]) -> int:
    """Length of the sums of a matrix product; HLO and cuBLAS name the left operand's axes each in its way."""
    found = re.search(r"lhs_contracting_dim(?:s=\{|ension\w*\":\[)([\d,\"]*)", attributes)
    axes = [int(axis) for axis in re.findall(r"\d+", found.group(1))] if found else []
    return math.prod(left[axis] for axis in axes)


def _depth(attributes: str, kernel: tuple[int, ...]) -> float:
    """Products behind one output: the kernel's input features times its window, less what dilation makes zero."""
    labels = re.search(r"dim_labels=\w+_(\w+)->", attributes)
    if labels is None or "i" not in labels.group(1):
        return 1.0
    window, dilation = _window(attributes), _window(attributes, "lhs_dilate")
    return kernel[labels.group(1).index("i")] * max(1.0, window / dilation)


def _window(attributes: str, what: str = "size") -> int:
    numbers = re.search(rf"[{{ ]{what}=([\dx]+)", attributes)
    return math.prod(map(int, numbers.group(1).split("x"))) if numbers else 1
