"""The ONNX form of operators that passes of newer MindSpore releases create: numbers beside tensors, torch-like axes.

MindSpore 2.9 and 2.10 write `x / 2` as Divs, a sum as SumExt, a product of matrices as MatMulExt, and so on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mindrestore.exporting.mindir import Node
from mindrestore.exporting.onnx_graph import OnnxError, OnnxGraph, Value, Var
from mindrestore.exporting.onnx_operators import OPERATORS, Form


def _scaled(op: str) -> Form:
    """Add or subtract alpha times the second value."""

    def form(graph: OnnxGraph, node: Node, a: Value, b: Value, alpha: Value = 1) -> Var:
        dtype, rank = node.kind.dtype, node.kind.rank
        a, b = graph.like(a, dtype), graph.like(b, dtype)
        if alpha != 1:
            b = graph.add("Mul", [b, np.asarray(alpha, dtype)], dtype, rank)
        return graph.add(op, [a, b], dtype, rank)

    return form


def _div_mod(graph: OnnxGraph, node: Node, a: Value, b: Value, rounding: Any = None) -> Value:
    if rounding is not None:
        raise OnnxError("divisions that round are not supported here")
    return OPERATORS["Div"](graph, node, a, b)


def _power(graph: OnnxGraph, node: Node, x: Value, exponent: Value) -> Var:
    dtype = node.kind.dtype
    return graph.add("Pow", [graph.like(x, dtype), graph.like(exponent, dtype)], dtype, node.kind.rank)


def _square(graph: OnnxGraph, node: Node, x: Var) -> Var:
    return graph.add("Mul", [x, x], x.dtype, x.rank)


def _rsqrt(graph: OnnxGraph, node: Node, x: Var) -> Var:
    return graph.add("Reciprocal", [graph.add("Sqrt", [x], x.dtype, x.rank)], x.dtype, x.rank)


def _silu(graph: OnnxGraph, node: Node, x: Var) -> Var:
    return graph.add("Mul", [x, graph.add("Sigmoid", [x], x.dtype, x.rank)], x.dtype, x.rank)


def _clamp(graph: OnnxGraph, node: Node, x: Var, least: Value = None, most: Value = None) -> Var:
    for op, bound in (("Max", least), ("Min", most)):
        if bound is not None:
            x = graph.add(op, [x, graph.like(bound, x.dtype)], x.dtype, x.rank)
    return x


def _split(graph: OnnxGraph, node: Node, x: Var, sizes: Any, axis: int = 0) -> tuple[Var, ...]:
    """Split into parts of given sizes, or of one size."""
    count = len(node.kind)
    if isinstance(sizes, int) or (isinstance(sizes, tuple) and len(set(sizes)) == 1):
        return graph.add_several("Split", [x], [(x.dtype, x.rank)] * count, axis=axis % x.rank)
    parts = np.array(sizes, np.int64)
    return graph.add_several("Split", [x, parts], [(x.dtype, x.rank)] * count, axis=axis % x.rank)


def _slice(graph: OnnxGraph, node: Node, x: Var, axis: int, start: Value, stop: Value, step: Value = 1) -> Var:
    places = [graph.integers((value,)) for value in (start, stop)]
    return graph.add("Slice", [x, *places, np.array([axis % x.rank]), graph.integers((step,))], x.dtype, x.rank)


def _expand(graph: OnnxGraph, node: Node, x: Value, axis: int) -> Var:
    return graph.add("Unsqueeze", [x, np.array([axis], np.int64)], node.kind.dtype, node.kind.rank)


def _squeeze(graph: OnnxGraph, node: Node, x: Var, axes: Any = None) -> Var:
    given = axes if axes is not None else node.attributes.get("axis", ())
    over = [np.atleast_1d(np.array(given, np.int64))] if np.size(given) else []
    return graph.add("Squeeze", [x, *over], node.kind.dtype, node.kind.rank)


def _simple(op: str) -> Form:
    return lambda graph, node, x: graph.add(op, [x], node.kind.dtype, node.kind.rank)


NEWER: dict[str, Form] = {
    "AddExt": _scaled("Add"),
    "AddScalar": _scaled("Add"),
    "Adds": OPERATORS["Add"],
    "BatchMatMulExt": OPERATORS["BatchMatMul"],
    "ClampScalar": _clamp,
    "ClampTensor": _clamp,
    "DivMod": _div_mod,
    "DivMods": _div_mod,
    "Divs": OPERATORS["Div"],
    "Exp": _simple("Exp"),
    "ExpandDims": _expand,
    "MeanExt": OPERATORS["ReduceMean"],
    "Muls": OPERATORS["Mul"],
    "Pow": _power,
    "PowScalarTensor": _power,
    "PowTensorScalar": _power,
    "Reciprocal": _simple("Reciprocal"),
    "Rsqrt": _rsqrt,
    "SiLU": _silu,
    "SliceExt": _slice,
    "SplitTensor": _split,
    "SplitWithSize": _split,
    "Square": _square,
    "Squeeze": _squeeze,
    "SubExt": _scaled("Sub"),
    "SubScalar": _scaled("Sub"),
    "Subs": OPERATORS["Sub"],
    "SumExt": OPERATORS["ReduceSum"],
    "TransposeView": OPERATORS["Transpose"],
}
