"""Write a MINDIR graph as ONNX, operator by operator, with free or fixed height and width.

MindSpore's own ONNX writer refuses free sizes and several operators of every network here; a MINDIR graph is small and
plain enough to translate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mindrestore.errors import MindRestoreError
from mindrestore.inference.mindir import Kind, MindIRError, Node, read_mindir
from mindrestore.inference.onnx_graph import OnnxError, OnnxGraph, Value, Var, require
from mindrestore.inference.onnx_operators import OPERATORS

if TYPE_CHECKING:
    import onnx

OPSET = 17  # of 2022: old enough for every runtime in use
_IR_VERSION = 8


def to_onnx(mindir: bytes, properties: Mapping[str, str]) -> onnx.ModelProto:
    """Translate a MINDIR file with one input and one output.

    Args:
        mindir: Content of the file; free sides stay free.
        properties: Text to keep in the file, such as the name of the network.

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
    for node in source.nodes:
        values[node.output] = _translated(graph, node, [values[given] for given in node.inputs])
    graph.finish(values[source.output], "restored")
    sides = [_sides(onnx, label, kind) for label in ("image", "restored")]
    constants = [onnx.numpy_helper.from_array(array, label) for label, array in graph.constants.values()]
    body = onnx.helper.make_graph(graph.nodes, "mindrestore", [sides[0]], [sides[1]], constants)
    model = onnx.helper.make_model(body, opset_imports=[onnx.helper.make_opsetid("", OPSET)])
    model.ir_version, model.producer_name = _IR_VERSION, "mindrestore"
    onnx.helper.set_model_props(model, dict(properties))
    onnx.checker.check_model(model)
    return model


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
