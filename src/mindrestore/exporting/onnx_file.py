"""Write a MINDIR graph as ONNX, operator by operator, with free or fixed height and width.

MindSpore's own ONNX writer refuses free sizes and several operators of every network here; a MINDIR graph is small and
plain enough to translate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mindrestore.errors import MindRestoreError
from mindrestore.exporting.mindir import Kind, MindIRError, Node, read_mindir
from mindrestore.exporting.onnx_graph import OnnxError, OnnxGraph, Value, Var
from mindrestore.exporting.onnx_newer import NEWER
from mindrestore.exporting.onnx_operators import OPERATORS
from mindrestore.exporting.onnx_proto import Side, model_bytes


@dataclass(frozen=True)
class OnnxModel:
    """A translated network.

    Attributes:
        content: What a .onnx file holds; input `image`, output `restored`.
        left_out: Names of the parameters whose values are left out.
    """

    content: bytes
    left_out: tuple[str, ...]


def to_onnx(mindir: bytes, properties: Mapping[str, str], *, left_out: Mapping[str, str] | None = None) -> OnnxModel:
    """Translate a MINDIR file with one input and one output.

    Args:
        mindir: Content of the file; free sides stay free.
        properties: Text to keep in the file, such as the name of the network.
        left_out: Name of a parameter in MindSpore -> its name in weight files: leave the values of all out, for whoever
            opens a session to give; and clip the result to [0, 1], where what is not finite becomes NaN.

    Returns:
        The model.

    Raises:
        MindIRError: The content is not MINDIR, or takes several inputs.
        OnnxError: An operator has no ONNX form.
    """
    source = read_mindir(mindir)
    if len(source.inputs) != 1:
        raise MindIRError(f"the graph has {len(source.inputs)} inputs; only networks of one image can be translated")
    ((name, kind),) = source.inputs.items()
    graph = OnnxGraph()
    values: dict[str, Value] = {**source.values, name: Var("image", kind.dtype, kind.rank)}
    names = {key: left_out[own] for key, own in source.names.items()} if left_out else {}
    values |= {key: _named(own, source.values[key]) for key, own in names.items()}
    for node in source.nodes:
        values[node.output] = _translated(graph, node, [values[given] for given in node.inputs])
    result = values[source.output]
    graph.finish(_clipped(graph, result) if left_out else result, "restored")
    open_ones = {own: source.values[key] for key, own in names.items() if graph.reads(own)}
    sides = (_side("image", kind), _side("restored", kind))
    return OnnxModel(model_bytes(graph, sides, properties, open_ones), tuple(sorted(open_ones)))


def _named(name: str, array: np.ndarray) -> Var:
    return Var(name, str(array.dtype), array.ndim)


def _clipped(graph: OnnxGraph, y: Var) -> Var:
    """Clip to [0, 1]; zero times a value that is not finite is NaN, so that no infinite one turns into white."""
    bounds = (np.array(bound, y.dtype) for bound in (0, 1))
    clipped = graph.add("Clip", [y, *bounds], y.dtype, y.rank)
    nothing = graph.add("Mul", [y, np.array(0, y.dtype)], y.dtype, y.rank)
    return graph.add("Add", [clipped, nothing], y.dtype, y.rank)


def _translated(graph: OnnxGraph, node: Node, inputs: list[Value]) -> Value:
    form = OPERATORS.get(node.op) or NEWER.get(node.op)
    if form is None:
        raise OnnxError(f"operator {node.op} has no ONNX form here; export MINDIR in its place")
    try:
        return form(graph, node, *inputs)
    except MindRestoreError as error:
        raise OnnxError(f"operator {node.op}: {error}") from error


def _side(label: str, kind: Kind) -> Side:
    """Describe input or output; a free side gets a name, by which both have the same."""
    free = iter(("height", "width"))
    return label, kind.dtype, [next(free) if side == -1 else side for side in kind.shape]
