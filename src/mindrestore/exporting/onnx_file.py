"""Write a MINDIR graph as ONNX, operator by operator, with free or fixed height and width.

MindSpore's own ONNX writer refuses free sizes and several operators of every network here; a MINDIR graph is small and
plain enough to translate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mindrestore.errors import MindRestoreError
from mindrestore.exporting.mindir import Kind, MindIRError, Node, read_mindir
from mindrestore.exporting.onnx_graph import OnnxError, OnnxGraph, Value, Var, require
from mindrestore.exporting.onnx_operators import OPERATORS

if TYPE_CHECKING:
    import onnx

OPSET = 17  # of 2022: old enough for every runtime in use
_IR_VERSION = 8


def to_onnx(mindir: bytes, properties: Mapping[str, str], *, weightless: bool = False) -> onnx.ModelProto:
    """Translate a MINDIR file with one input and one output.

    Args:
        mindir: Content of the file; free sides stay free.
        properties: Text to keep in the file, such as the name of the network.
        weightless: Leave the values of parameters out; they keep their names and shapes, as initializers whose values
            whoever opens the session has to give. And clip the result to [0, 1]; what is not finite becomes NaN.

    Returns:
        The ONNX model, checked; input `image`, output `restored`.

    Raises:
        MindIRError: The content is not MINDIR, or takes several inputs.
        OnnxError: ONNX is not installed, or an operator has no ONNX form.
    """
    onnx = require("onnx")
    source = read_mindir(mindir)
    if len(source.inputs) != 1:
        raise MindIRError(f"the graph has {len(source.inputs)} inputs; only networks of one image can be translated")
    ((name, kind),) = source.inputs.items()
    graph = OnnxGraph(onnx.helper)
    values: dict[str, Value] = {**source.values, name: Var("image", kind.dtype, kind.rank)}
    left_out = {own: source.values[key] for key, own in source.names.items()} if weightless else {}
    if weightless:
        values |= {key: _named(own, source.values[key]) for key, own in source.names.items()}
    for node in source.nodes:
        values[node.output] = _translated(graph, node, [values[given] for given in node.inputs])
    result = values[source.output]
    graph.finish(_clipped(graph, result) if weightless else result, "restored")
    sides = [_sides(onnx, label, kind) for label in ("image", "restored")]
    constants = [onnx.numpy_helper.from_array(array, label) for label, array in graph.constants.values()]
    constants += [_without_values(onnx, label, array) for label, array in sorted(left_out.items())]
    body = onnx.helper.make_graph(graph.nodes, "mindrestore", [sides[0]], [sides[1]], constants)
    model = onnx.helper.make_model(body, opset_imports=[onnx.helper.make_opsetid("", OPSET)])
    model.ir_version, model.producer_name = _IR_VERSION, "mindrestore"
    onnx.helper.set_model_props(model, dict(properties))
    if not weightless:
        onnx.checker.check_model(model)
    return model


def _named(name: str, array: np.ndarray) -> Var:
    return Var(name, str(array.dtype), array.ndim)


def _clipped(graph: OnnxGraph, y: Var) -> Var:
    """Clip to [0, 1]; zero times a value that is not finite is NaN, so that no infinite one turns into white."""
    bounds = (np.array(bound, y.dtype) for bound in (0, 1))
    clipped = graph.add("Clip", [y, *bounds], y.dtype, y.rank)
    nothing = graph.add("Mul", [y, np.array(0, y.dtype)], y.dtype, y.rank)
    return graph.add("Add", [clipped, nothing], y.dtype, y.rank)


def _without_values(onnx: Any, label: str, array: np.ndarray) -> onnx.TensorProto:
    element = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor = onnx.TensorProto(name=label, data_type=element, dims=array.shape)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights")
    return tensor


def _translated(graph: OnnxGraph, node: Node, inputs: list[Value]) -> Value:
    if node.op not in OPERATORS:
        raise OnnxError(f"operator {node.op} has no ONNX form here; export MINDIR in its place")
    try:
        return OPERATORS[node.op](graph, node, *inputs)
    except MindRestoreError as error:
        raise OnnxError(f"operator {node.op}: {error}") from error


def _sides(onnx: Any, label: str, kind: Kind) -> Any:
    """Describe input or output; a free side gets a name, by which both have the same."""
    free = iter(("height", "width"))
    shape = [next(free) if side == -1 else side for side in kind.shape]
    element = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind.dtype))
    return onnx.helper.make_tensor_value_info(label, element, shape)
