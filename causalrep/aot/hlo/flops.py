"""Floating-point operations of one instruction of a compiled program, counted by XLA's own rules.

A matrix product or convolution costs two operations per product of its sums; any other instruction costs one per
element of its result; moving data is free. On GPUs matrix products are calls of vendor libraries, whose arguments
tell their sizes.
"""

import math
import re
from collections.abc import Mapping

from causalrep.aot.collectives import KINDS
from causalrep.aot.hlo.text import FREE, SHAPE, Instruction, dims_of, elements, tuple_parts

# Library calls that are matrix products or convolutions.
PRODUCTS = frozenset(
    {"__cublas$gemm", "__cublas$lt$matmul", "__cudnn$convForward", "__cudnn$convBiasActivationForward"}
    | {"__cudnn$convBackwardInput", "__cudnn$convBackwardFilter"}
)
# Instructions without arithmetic of their own: they move data, call counted instructions, or cost an unknown amount.
_MOVES = frozenset(
    {"fusion", "copy", "copy-start", "async-start", "broadcast", "iota", "reshape", "transpose", "reverse", "slice"}
    | {"dynamic-slice", "dynamic-update-slice", "concatenate", "pad", "gather", "bitcast-convert", "partition-id"}
    | {"replica-id", "optimization-barrier", "infeed", "outfeed", "send", "recv", "rng-bit-generator"}
)


def flops(instruction: Instruction, table: Mapping[str, Instruction]) -> float:
    """Operations of an instruction, not counting the computations it calls.

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
        return float(math.prod(shapes[0]))  # every element of the operand is added once
    if opcode in ("reduce-window", "select-and-scatter"):
        return float(size * _window(instruction.attributes))
    if opcode == "scatter" and shapes:
        return float(math.prod(shapes[-1]))  # the rows that are added
    if opcode == "sort":
        return float(size * math.ceil(math.log2(max(2, size))))  # n log n comparisons
    return float(size)


def _library(call: Instruction, shapes: list[tuple[int, ...]]) -> float:
    """Operations of a vendor library's product; 0 for any other call."""
    target = re.search(r'custom_call_target="([^"]*)"', call.attributes)
    if target is None or target.group(1) not in PRODUCTS or len(shapes) < 2:
        return 0.0
    result = dims_of(tuple_parts(call.shape)[0])  # the call may return a workspace as well
    if target.group(1).startswith("__cublas"):
        return 2.0 * math.prod(result) * _contracted(call.attributes, shapes[0])
    # The three convolutions of one layer (forward, gradient of the input, gradient of the filter) cost the same:
    # outputs of the forward convolution x window x input features.
    output, kernel = {
        "__cudnn$convBackwardInput": (shapes[0], shapes[1]),
        "__cudnn$convBackwardFilter": (shapes[1], result),
    }.get(target.group(1), (result, shapes[1]))
    return 2.0 * math.prod(output) * _depth(call.attributes, kernel)


def _contracted(attributes: str, left: tuple[int, ...]) -> int:
    """Length of the sums of a matrix product, from the contracted axes of its left operand.

    HLO writes ``lhs_contracting_dims={1}``, cuBLAS's configuration ``"lhs_contracting_dimensions":["1"]``.
    """
    match = re.search(r"lhs_contracting_dim(?:s=\{|ension\w*\":\[)([\d,\"]*)", attributes)
    axes = [int(axis) for axis in re.findall(r"\d+", match.group(1))] if match else []
    return math.prod(left[axis] for axis in axes)


def _depth(attributes: str, kernel: tuple[int, ...]) -> float:
    """Products per output of a convolution: the kernel's input features times its window.

    A dilated input has zeros between its rows, which a share of 1 / dilation of the window skips.
    """
    # dim_labels=b01f_01io->b01f: the second group names the kernel's axes, "i" the input features.
    labels = re.search(r"dim_labels=\w+_(\w+)->", attributes)
    if labels is None or "i" not in labels.group(1):
        return 1.0
    window, dilation = _window(attributes), _window(attributes, "lhs_dilate")
    return kernel[labels.group(1).index("i")] * max(1.0, window / dilation)


def _window(attributes: str, what: str = "size") -> int:
    # window={size=3x3 pad=1_1x1_1 lhs_dilate=2x2}
    numbers = re.search(rf"[{{ ]{what}=([\dx]+)", attributes)
    return math.prod(map(int, numbers.group(1).split("x"))) if numbers else 1
