"""The ONNX form of every MindSpore operator that the networks use.

A form takes the graph, the node and the node's inputs, and gives the result: a computed value, a constant, or a tuple.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Callable

import numpy as np

from mindrestore.exporting.mindir import Kind, Node
from mindrestore.exporting.onnx_graph import OnnxError, OnnxGraph, Value, Var

Form = Callable[..., Value]

_TO_THE_END = np.iinfo(np.int64).max
_TYPES = {
    30: "bool",
    34: "int32",
    35: "int64",
    37: "uint8",
    42: "float16",
    43: "float32",
    44: "float64",
}  # of MindSpore
_VALID, _NCHW = 2, 0


def _unary(op: str) -> Form:
    return lambda graph, node, x: graph.add(op, [x], node.kind.dtype, node.kind.rank)


def _binary(op: str) -> Form:
    """Combine tensors; a number beside a tensor takes its type."""

    def form(graph: OnnxGraph, node: Node, a: Value, b: Value) -> Value:
        dtype = node.kind.dtype
        return graph.add(op, [graph.like(a, dtype), graph.like(b, dtype)], dtype, node.kind.rank)

    return form


def _scalar(op: str, function: Callable[[int, int], int]) -> Form:
    """Compute with sizes: at once when both are known."""

    def form(graph: OnnxGraph, node: Node, a: Value, b: Value) -> Value:
        if not isinstance(a, Var) and not isinstance(b, Var):
            return function(a, b)
        return graph.add(op, [graph.like(a, "int64"), graph.like(b, "int64")], "int64", 0)

    return form


def _first(graph: OnnxGraph, node: Node, x: Value, *_: Value) -> Value:
    """Pass on: what only orders side effects computes nothing."""
    return x


def _shape(graph: OnnxGraph, node: Node, x: Var) -> tuple:
    whole = graph.add("Shape", [x], "int64", 1)
    return tuple(graph.add("Gather", [whole, np.array(i, np.int64)], "int64", 0, axis=0) for i in range(x.rank))


def _reshape(graph: OnnxGraph, node: Node, x: Value, shape: Value) -> Var:
    # One free side is left to the runtime: fewer operators, and shapes it can infer
    known = node.kind.shape
    if sum(side == -1 for side in known) <= 1 and -2 not in known:
        shape = known
    return graph.add("Reshape", [x, graph.integers(shape)], node.kind.dtype, node.kind.rank)


def _concat(graph: OnnxGraph, node: Node, parts: Sequence[Value], axis: int) -> Var:
    return graph.add("Concat", list(parts), node.kind.dtype, node.kind.rank, axis=axis % node.kind.rank)


def _stack(graph: OnnxGraph, node: Node, parts: Sequence[Value], *_: Value) -> Var:
    axis, dtype = node.attributes["axis"] % node.kind.rank, node.kind.dtype
    place = np.array([axis], np.int64)
    raised = [graph.add("Unsqueeze", [part, place], dtype, node.kind.rank) for part in parts]
    return graph.add("Concat", raised, dtype, node.kind.rank, axis=axis)


def _split(graph: OnnxGraph, node: Node, x: Var | np.ndarray, axis: int, count: int) -> tuple[Value, ...]:
    if isinstance(x, np.ndarray):
        return tuple(np.split(x, count, axis))
    return graph.add_several("Split", [x], [(x.dtype, x.rank)] * count, axis=axis % x.rank)


def _strided_slice(
    graph: OnnxGraph, node: Node, x: Value, begin: Value, end: Value, strides: tuple, *masks: int
) -> Value:
    begins, ends, ellipsis, new_axis, shrink = masks
    if ellipsis or new_axis:
        raise OnnxError("slices with an ellipsis or a new axis are not supported here")
    starts = [0 if begins >> axis & 1 else begin[axis] for axis in range(len(strides))]
    stops = [_TO_THE_END if ends >> axis & 1 else end[axis] for axis in range(len(strides))]
    axes = np.arange(len(strides))
    rank = node.kind.rank + bin(shrink).count("1")
    y = graph.add(
        "Slice", [x, graph.integers(starts), graph.integers(stops), axes, np.array(strides)], node.kind.dtype, rank
    )
    if not shrink:
        return y
    gone = np.array([axis for axis in range(len(strides)) if shrink >> axis & 1])
    return graph.add("Squeeze", [y, gone], node.kind.dtype, node.kind.rank)


def _slice(graph: OnnxGraph, node: Node, x: Value, begin: Value, size: Value) -> Var:
    first, length = graph.integers(begin), graph.integers(size)
    known = not isinstance(first, Var) and not isinstance(length, Var)
    stop = first + length if known else graph.add("Add", [first, length], "int64", 1)
    return graph.add("Slice", [x, first, stop, np.arange(node.kind.rank)], node.kind.dtype, node.kind.rank)


def _gather(graph: OnnxGraph, node: Node, x: Value, index: Value, axis: int, *_: int) -> Var:
    return graph.add("Gather", [x, index], node.kind.dtype, node.kind.rank, axis=axis)


def _tile(graph: OnnxGraph, node: Node, x: Value, times: Value) -> Var:
    return graph.add("Tile", [x, graph.integers(times)], node.kind.dtype, node.kind.rank)


def _transpose(graph: OnnxGraph, node: Node, x: Value, order: tuple) -> Var:
    return graph.add("Transpose", [x], node.kind.dtype, node.kind.rank, perm=list(order))


def _mean(graph: OnnxGraph, node: Node, x: Var, axes: Any, keep: bool, *_: Value) -> Var:
    given = {"axes": list(_axes(axes))} if _axes(axes) else {}
    return graph.add("ReduceMean", [x], node.kind.dtype, node.kind.rank, keepdims=int(keep), **given)


def _sum(graph: OnnxGraph, node: Node, x: Var, axes: Any, keep: bool, *_: Value) -> Var:
    over = [np.array(_axes(axes), np.int64)] if _axes(axes) else []
    return graph.add("ReduceSum", [x, *over], node.kind.dtype, node.kind.rank, keepdims=int(keep))


def _axes(axes: Any) -> tuple[int, ...]:
    return () if axes is None else tuple(np.atleast_1d(axes).tolist())


def _conv(graph: OnnxGraph, node: Node, x: Value, weight: Value) -> Var:
    return graph.add("Conv", [x, weight], node.kind.dtype, 4, **_window(node))


def _conv_transpose(graph: OnnxGraph, node: Node, x: Value, weight: Value, *_: Value) -> Var:
    return graph.add("ConvTranspose", [x, weight], node.kind.dtype, 4, **_window(node))


def _window(node: Node) -> dict[str, Any]:
    """Return stride, padding, dilation and group of a convolution as ONNX calls them."""
    given = node.attributes
    mode = given["pad_mode"].lower()
    if mode not in ("pad", "valid"):
        raise OnnxError(f"convolutions with pad_mode {mode} are not supported here")
    pads = given["pad"] if mode == "pad" else 0
    top, bottom, left, right = (pads,) * 4 if isinstance(pads, int) else pads
    return {
        "strides": list(given["stride"][-2:]),
        "pads": [top, left, bottom, right],
        "dilations": list(given["dilation"][-2:]),
        "group": given["group"],
    }


def _average_pool(graph: OnnxGraph, node: Node, x: Value, kernel: tuple, strides: tuple, mode: int, *_: int) -> Var:
    if mode != _VALID:
        raise OnnxError("pools with padding are not supported here")
    window = {"kernel_shape": list(kernel[-2:]), "strides": list(strides[-2:])}
    return graph.add("AveragePool", [x], node.kind.dtype, 4, **window)


def _max_pool(graph: OnnxGraph, node: Node, x: Value) -> Var:
    given = node.attributes
    if str(given["pad_mode"]).lower() not in ("valid", str(_VALID)):
        raise OnnxError("pools with padding are not supported here")
    window = {"kernel_shape": list(given["kernel_size"][-2:]), "strides": list(given["strides"][-2:])}
    return graph.add("MaxPool", [x], node.kind.dtype, 4, **window)


def _mirror_pad(graph: OnnxGraph, node: Node, x: Var, widths: Value) -> Var:
    if str(node.attributes["mode"]) != "REFLECT" or not isinstance(widths, np.ndarray):
        raise OnnxError("borders are mirrored without the edge, by widths that are known")
    pads = widths.T.reshape(-1).astype(np.int64)  # ONNX wants all that come before, then all that come after
    return graph.add("Pad", [x, pads], x.dtype, x.rank, mode="reflect")


def _resize(graph: OnnxGraph, node: Node, x: Var, size: Value, align_corners: bool, half_pixels: bool) -> Var:
    if align_corners or not half_pixels:
        raise OnnxError("images are resized with half-pixel centres only")
    nothing, whole = np.array([], np.float32), graph.add("Shape", [x], "int64", 1)
    maps = graph.add("Slice", [whole, np.array([0]), np.array([2])], "int64", 1)
    sizes = graph.add("Concat", [maps, graph.integers(size)], "int64", 1, axis=0)
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return graph.add("Resize", [x, nothing, nothing, sizes], x.dtype, x.rank, **how)


def _prelu(graph: OnnxGraph, node: Node, x: Var, slope: Value) -> Var:
    shape = np.array([-1, *[1] * (x.rank - 2)], np.int64)  # of a slope per channel
    given = isinstance(slope, np.ndarray)
    slope = slope.reshape(shape) if given else graph.add("Reshape", [slope, shape], x.dtype, x.rank - 1)
    return graph.add("PRelu", [x, slope], x.dtype, x.rank)


def _bias_add(graph: OnnxGraph, node: Node, x: Var, bias: Value, layout: int = _NCHW) -> Var:
    if layout != _NCHW:
        raise OnnxError("constants are added to channels in second place only")
    shape = np.array([1, -1] + [1] * (x.rank - 2), np.int64)
    bias = bias.reshape(shape) if isinstance(bias, np.ndarray) else graph.add("Reshape", [bias, shape], x.dtype, x.rank)
    return graph.add("Add", [x, bias], x.dtype, x.rank)


def _matmul(graph: OnnxGraph, node: Node, a: Value, b: Value, turn_a: bool = False, turn_b: bool = False) -> Var:
    a, b = (_turned(graph, part) if turn else part for part, turn in ((a, turn_a), (b, turn_b)))
    return graph.add("MatMul", [a, b], node.kind.dtype, node.kind.rank)


def _turned(graph: OnnxGraph, x: Value) -> Value:
    if isinstance(x, np.ndarray):
        return np.ascontiguousarray(np.swapaxes(x, -1, -2))
    order = [*range(x.rank - 2), x.rank - 1, x.rank - 2]
    return graph.add("Transpose", [x], x.dtype, x.rank, perm=order)


def _softmax(graph: OnnxGraph, node: Node, x: Var, axes: Any) -> Var:
    return graph.add("Softmax", [x], x.dtype, x.rank, axis=_axes(axes)[0])


def _cast(graph: OnnxGraph, node: Node, x: Value, _: Value) -> Value:
    return graph.like(x, node.kind.dtype)


def _scalar_cast(graph: OnnxGraph, node: Node, x: Value, number: int) -> Value:
    dtype = _TYPES[number]
    return graph.cast(x, dtype) if isinstance(x, Var) else np.dtype(dtype).type(x).item()


def _scalar_to_tensor(graph: OnnxGraph, node: Node, x: Value, _: Value = None) -> Value:
    return graph.like(x, node.kind.dtype)


def _tensor_to_scalar(graph: OnnxGraph, node: Node, x: Value) -> Value:
    if not isinstance(x, Var):
        return np.asarray(x).item()
    return x if x.rank == 0 else graph.add("Reshape", [x, np.array([], np.int64)], x.dtype, 0)


def _filled(number: int) -> Form:
    def form(graph: OnnxGraph, node: Node, x: Value) -> Value:
        kind: Kind = node.kind
        if min(kind.shape, default=0) >= 0:
            return np.full(kind.shape, number, kind.dtype)
        shape = graph.add("Shape", [x], "int64", 1)
        return graph.add("ConstantOfShape", [shape], kind.dtype, kind.rank, value=np.array([number], kind.dtype))

    return form


def _range(graph: OnnxGraph, node: Node, start: Value, stop: Value, step: Value, *_: Value) -> Var:
    return graph.add("Range", [graph.like(part, "int64") for part in (start, stop, step)], "int64", 1)


def _cumsum(graph: OnnxGraph, node: Node, x: Value, axis: int, exclusive: bool, reverse: bool) -> Var:
    flags = {"exclusive": int(exclusive), "reverse": int(reverse)}
    return graph.add("CumSum", [x, np.array(axis, np.int64)], node.kind.dtype, node.kind.rank, **flags)


def _floor_div(graph: OnnxGraph, node: Node, a: Value, b: Value) -> Var:
    """Divide downwards; ONNX divides whole numbers towards zero, so the remainder is taken off first."""
    dtype, rank = node.kind.dtype, node.kind.rank
    a, b = graph.like(a, dtype), graph.like(b, dtype)
    if not dtype.startswith("int"):
        return graph.add("Floor", [graph.add("Div", [a, b], dtype, rank)], dtype, rank)
    rest = graph.add("Mod", [a, b], dtype, rank)
    return graph.add("Div", [graph.add("Sub", [a, rest], dtype, rank), b], dtype, rank)


OPERATORS: dict[str, Form] = {
    "Abs": _unary("Abs"),
    "Add": _binary("Add"),
    "AvgPool": _average_pool,
    "BatchMatMul": _matmul,
    "BiasAdd": _bias_add,
    "Cast": _cast,
    "Concat": _concat,
    "Conv2D": _conv,
    "Conv2DTranspose": _conv_transpose,
    "CumSum": _cumsum,
    "Depend": _first,
    "Div": _binary("Div"),
    "Floor": _unary("Floor"),
    "FloorDiv": _floor_div,
    "Gather": _gather,
    "Load": _first,
    "MakeTuple": lambda graph, node, *parts: parts,
    "MatMul": _matmul,
    "MatMulExt": _matmul,
    "Maximum": _binary("Max"),
    "MaxPool": _max_pool,
    "Minimum": _binary("Min"),
    "MirrorPad": _mirror_pad,
    "Mul": _binary("Mul"),
    "Neg": _unary("Neg"),
    "OnesLike": _filled(1),
    "PReLU": _prelu,
    "Range": _range,
    "RealDiv": _binary("Div"),
    "ReduceMean": _mean,
    "ReduceSum": _sum,
    "ReLU": _unary("Relu"),
    "RemainderTensorScalar": _binary("Mod"),
    "Reshape": _reshape,
    "ResizeBilinearV2": _resize,
    "Round": _unary("Round"),
    "ScalarAdd": _scalar("Add", operator.add),
    "ScalarCast": _scalar_cast,
    "ScalarFloorDiv": _scalar("Div", operator.floordiv),  # of sizes, which are not negative
    "ScalarMul": _scalar("Mul", operator.mul),
    "ScalarSub": _scalar("Sub", operator.sub),
    "ScalarToTensor": _scalar_to_tensor,
    "Shape": _shape,
    "Sigmoid": _unary("Sigmoid"),
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Sqrt": _unary("Sqrt"),
    "Stack": _stack,
    "StridedSlice": _strided_slice,
    "Sub": _binary("Sub"),
    "Tanh": _unary("Tanh"),
    "TensorToScalar": _tensor_to_scalar,
    "Tile": _tile,
    "Transpose": _transpose,
    "TupleGetItem": lambda graph, node, parts, place: parts[place],
    "UpdateState": lambda graph, node, *_: None,
    "ZerosLike": _filled(0),
}
