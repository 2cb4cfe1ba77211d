"""Read the graph of a MINDIR file: its operators in order, their inputs, constants and parameters."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mindrestore.errors import MindRestoreError, first_line

# Numbers of mind_ir.proto, which are those of ONNX
DTYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"}


_IMAGE_RANK = 4
_MOST_AXES = 32
_DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    RecursionError,
    struct.error,
)


class MindIRError(MindRestoreError):
    """Report a file that is not MINDIR, or a graph that cannot be read."""


@dataclass(frozen=True)
class Kind:
    """What a value is: element type, and shape with -1 for a free side; a scalar has no shape at all."""

    dtype: str
    shape: tuple[int, ...] | None

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape or ())


@dataclass(frozen=True)
class Node:
    """One operator: its name, the names of inputs and output, its attributes, and what it gives."""

    op: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any]
    kind: Kind | tuple | None


@dataclass(frozen=True)
class Graph:
    """A whole graph.

    Attributes:
        inputs: Name -> what it takes.
        output: Name of the only result.
        nodes: Operators, each after those it needs.
        values: Name -> constant or parameter; tensors are arrays.
        names: Name -> the parameter's name in the network.
    """

    inputs: Mapping[str, Kind]
    output: str
    nodes: tuple[Node, ...]
    values: Mapping[str, Any]
    names: Mapping[str, str]


def read_mindir(data: bytes) -> Graph:
    """Read a graph without sub-graphs, as `export` writes networks for images.

    Args:
        data: Content of a MINDIR file that is not encrypted.

    Returns:
        The graph.

    Raises:
        MindIRError: The content is not MINDIR, or the graph calls others.
    """
    from google.protobuf.message import DecodeError
    from mindspore.train.mind_ir_pb2 import ModelProto

    model = ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, *_DAMAGE) as error:  # protobuf in Python raises whatever fits
        raise MindIRError("not a MINDIR file that can be read; export it again") from error
    if model.functions or not model.graph.output:
        raise MindIRError("the graph has branches or no output; only plain networks can be read")
    try:
        graph = _graph(model)
    except _DAMAGE as error:
        raise MindIRError(f"damaged, or not a MINDIR file ({first_line(error)}); export it again") from error
    known = {*graph.inputs, *graph.values}
    for node in graph.nodes:
        unknown = [name for name in node.inputs if name not in known]
        if unknown:
            raise MindIRError(f"damaged: operator {node.op!a:.40} takes {unknown[0]!a:.40}, which nothing makes")
        known.add(node.output)
    if graph.output not in known:
        raise MindIRError(f"damaged: nothing makes its output {graph.output!a:.40}; export it again")
    return graph


def _graph(model: Any) -> Graph:
    """Read the parsed message; a damaged one raises whatever fits."""
    graph = model.graph
    primitives = {primitive.name: primitive for primitive in model.primitives}
    values = {parameter.name: _array(parameter) for parameter in graph.parameter}
    nodes = []
    for node in graph.node:
        if node.op_type == "Constant":
            values[node.output[0]] = value_of(node)
            continue
        primitive = primitives[node.op_type.removeprefix("REF::")]
        attributes = {attribute.name: _value(attribute) for attribute in primitive.attribute}
        nodes.append(Node(primitive.op_type, tuple(node.input), node.output[0], attributes, kind_of(node)))
    inputs = {entry.name: _tensor_kind(entry.tensor[0]) for entry in graph.input}
    names = {parameter.name: parameter.name.partition(":")[2] for parameter in graph.parameter}
    return Graph(inputs, graph.output[0].name, tuple(nodes), values, names)


def value_of(node: Any) -> Any:
    """Return what a node `Constant` of the file's message stands for: number, text, None, tuple or array."""
    return _value(next((attribute for attribute in node.attribute if attribute.name == "value"), None))


def kind_of(node: Any) -> Kind | tuple | None:
    """Return what a node of the file's message gives, as far as it says so."""
    return next((_kind(attribute) for attribute in node.attribute if attribute.name == "shape"), None)


def input_kind(data: bytes) -> Kind:
    """Return what a network of one image takes.

    Raises:
        MindIRError: The content is not MINDIR.
    """
    kinds = [*read_mindir(data).inputs.values()]
    if len(kinds) != 1 or kinds[0].rank != _IMAGE_RANK or kinds[0].dtype not in DTYPES.values():
        raise MindIRError("its graph does not take one image; export it again")
    if any(side < -1 or side == 0 for side in kinds[0].shape):
        raise MindIRError(f"damaged: it takes an image of shape {kinds[0].shape}; export it again")
    return kinds[0]


def _array(tensor: Any) -> np.ndarray:
    dtype = DTYPES.get(tensor.data_type)
    if dtype is None:
        raise MindIRError(f"a tensor of type number {tensor.data_type} cannot be read")
    shape = tuple(tensor.dims)
    if len(shape) > _MOST_AXES or math.prod(shape) * np.dtype(dtype).itemsize != len(tensor.raw_data):
        raise MindIRError(f"damaged: {tensor.name!a:.60} has {len(tensor.raw_data)} bytes, which do not make {shape}")
    return np.frombuffer(tensor.raw_data, dtype).reshape(shape)


def _value(attribute: Any) -> Any:
    """Return a constant as a Python value: number, text, None, tuple or array."""
    kind = attribute.AttributeType.Name(attribute.type)
    if kind in ("TUPLE", "LIST"):
        return tuple(_value(entry) for entry in attribute.values)
    if kind in ("TENSOR", "TENSORS"):
        return _array(attribute.tensors[0])
    if kind in ("BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT32", "UINT64"):
        whole = attribute.ints[0] if attribute.ints else attribute.i
        return bool(whole) if kind == "BOOL" else int(whole)
    if kind in ("FLOAT", "DOUBLE"):
        return float(attribute.f if kind == "FLOAT" else attribute.d)
    if kind == "STRING":
        return attribute.s.decode()
    return None  # a token that orders side effects, or nothing


def _kind(attribute: Any) -> Kind | tuple | None:
    kind = attribute.AttributeType.Name(attribute.type)
    if kind == "TUPLE":
        return tuple(_kind(entry) for entry in attribute.values)
    if not attribute.tensors:
        return None
    found = _tensor_kind(attribute.tensors[0])
    return Kind(found.dtype, None) if kind == "SCALAR" else found


def _tensor_kind(tensor: Any) -> Kind:
    return Kind(DTYPES.get(tensor.data_type, "unknown"), tuple(tensor.dims))
