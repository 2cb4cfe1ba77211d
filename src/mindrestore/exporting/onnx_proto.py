"""Write an ONNX graph as bytes; the few messages of ONNX that networks for images need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Union

import numpy as np

from mindrestore.exporting.onnx_graph import OnnxGraph, Operator
from mindrestore.weights.wire import field

OPSET = 17  # of 2022: old enough for every runtime in use
_IR_VERSION = 8
_ELEMENTS = {  # numbers of TensorProto.DataType
    **{"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "float64": 11},
}
_FLOAT, _INT, _STRING, _TENSOR, _FLOATS, _INTS = 1, 2, 3, 4, 6, 7  # AttributeProto.AttributeType
_EXTERNAL = 1  # TensorProto.DataLocation

Side = tuple[str, str, Sequence[Union[int, str]]]  # name, type of the elements, shape; text stands for a free side


def model_bytes(
    graph: OnnxGraph,
    sides: tuple[Side, Side],
    properties: Mapping[str, str],
    left_out: Mapping[str, np.ndarray],
) -> bytes:
    """Write a whole model.

    Args:
        graph: Operators and constants, finished.
        sides: Input and output.
        properties: Text to keep in the file.
        left_out: Name -> array of initializers whose values are left out.

    Returns:
        The content of a .onnx file.
    """
    body = b"".join(field(1, _node(node, number)) for number, node in enumerate(graph.nodes))
    body += field(2, "mindrestore")
    body += b"".join(field(5, _tensor(array, name)) for name, array in graph.constants.values())
    body += b"".join(field(5, _without_values(array, name)) for name, array in sorted(left_out.items()))
    body += field(11, _side(*sides[0])) + field(12, _side(*sides[1]))
    kept = (field(14, field(1, key) + field(2, value)) for key, value in properties.items())
    opset = field(8, field(1, "") + field(2, OPSET))
    return field(1, _IR_VERSION) + field(2, "mindrestore") + field(7, body) + opset + b"".join(kept)


def _node(node: Operator, number: int) -> bytes:
    names = [field(1, name) for name in node.inputs] + [field(2, name) for name in node.outputs]
    attributes = [field(5, _attribute(key, value)) for key, value in sorted(node.attributes.items())]
    return b"".join([*names, field(3, f"{node.kind}_{number}"), field(4, node.kind), *attributes])


def _attribute(name: str, value: Any) -> bytes:
    if isinstance(value, np.dtype):
        value = _ELEMENTS[value.name]
    if isinstance(value, np.ndarray):
        content, kind = field(5, _tensor(value, name)), _TENSOR
    elif isinstance(value, str):
        content, kind = field(4, value), _STRING
    elif isinstance(value, (list, tuple)):
        whole = all(isinstance(entry, (int, np.integer)) for entry in value)
        content = b"".join(field(8, int(entry)) if whole else field(7, float(entry)) for entry in value)
        kind = _INTS if whole else _FLOATS
    elif isinstance(value, float):
        content, kind = field(2, value), _FLOAT
    else:
        content, kind = field(3, int(value)), _INT
    return field(1, name) + content + field(20, kind)


def _tensor(array: np.ndarray, name: str) -> bytes:
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return _kind(array, name) + field(9, little.tobytes())


def _without_values(array: np.ndarray, name: str) -> bytes:
    return _kind(array, name) + field(13, field(1, "location") + field(2, "weights")) + field(14, _EXTERNAL)


def _kind(array: np.ndarray, name: str) -> bytes:
    dims = b"".join(field(1, side) for side in array.shape)
    return dims + field(2, _ELEMENTS[array.dtype.name]) + field(8, name)


def _side(name: str, dtype: str, shape: Sequence[int | str]) -> bytes:
    dims = (field(1, field(2 if isinstance(side, str) else 1, side)) for side in shape)
    tensor = field(1, _ELEMENTS[dtype]) + field(2, b"".join(dims))
    return field(1, name) + field(2, field(1, tensor))
