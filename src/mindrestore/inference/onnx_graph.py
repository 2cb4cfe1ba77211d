"""Write a MINDIR graph as ONNX, operator by operator, with free or fixed height and width.

MindSpore's own ONNX writer refuses free sizes and several operators of every network here; a MINDIR graph is small and
plain enough to translate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from mindrestore.errors import MindRestoreError
from mindrestore.inference.mindir import Kind, MindIRError, Node, read_mindir

if TYPE_CHECKING:
    import onnx

OPSET = 17  # of 2022: old enough for every runtime in use
_IR_VERSION = 8


class OnnxError(MindRestoreError):
    """Report that ONNX is not installed, or a graph that ONNX cannot hold."""


@dataclass(frozen=True)
class Var:
    """Name a value that the ONNX graph computes."""

    name: str
    dtype: str
    rank: int


Value = Union[Var, np.ndarray, int, float, bool, None, tuple]


class OnnxGraph:
    """Collect nodes and constants of an ONNX graph.

    Args:
        helper: The module `onnx.helper`.

    Example:
        >>> graph = OnnxGraph(onnx.helper)
        >>> graph.add("Relu", [x], x.dtype, x.rank)
    """

    def __init__(self, helper: Any) -> None:
        self.helper = helper
        self.nodes: list[Any] = []
        self.constants: dict[tuple, tuple[str, np.ndarray]] = {}

    def add(self, op: str, inputs: Sequence[Value], dtype: str, rank: int, **attributes: Any) -> Var:
        """Add an operator with one output and give that."""
        return self.add_several(op, inputs, [(dtype, rank)], **attributes)[0]

    def add_several(
        self, op: str, inputs: Sequence[Value], kinds: Sequence[tuple[str, int]], **attributes: Any
    ) -> tuple[Var, ...]:
        """Add an operator and give its outputs, one for each (type, rank)."""
        number = len(self.nodes)
        outputs = [Var(f"{op}_{number}_{i}", *kind) for i, kind in enumerate(kinds)]
        given = [self.name_of(value) for value in inputs]
        names = [output.name for output in outputs]
        self.nodes.append(self.helper.make_node(op, given, names, name=f"{op}_{number}", **attributes))
        return tuple(outputs)

    def name_of(self, value: Value) -> str:
        """Give the name of a value; a constant array is added to the graph."""
        if isinstance(value, Var):
            return value.name
        array = np.asarray(value)
        key = (str(array.dtype), array.shape, array.tobytes())
        name, _ = self.constants.setdefault(key, (f"constant_{len(self.constants)}", array))
        return name

    def integers(self, values: Sequence[Value] | Value) -> Value:
        """Give whole numbers, some of which may be computed, as one int64 vector."""
        if isinstance(values, Var):
            return values
        if all(not isinstance(value, Var) for value in values):
            return np.array(values, np.int64)
        parts = [self.vector(value) if isinstance(value, Var) else np.array([value], np.int64) for value in values]
        return self.add("Concat", parts, "int64", 1, axis=0) if len(parts) > 1 else parts[0]

    def vector(self, scalar: Var) -> Var:
        """Give a scalar as a vector of one."""
        return self.add("Unsqueeze", [scalar, np.array([0], np.int64)], scalar.dtype, 1)

    def like(self, value: Value, dtype: str) -> Value:
        """Give a number, or a computed scalar, as a tensor of a type."""
        if isinstance(value, Var):
            return value if value.dtype == dtype else self.cast(value, dtype)
        return np.asarray(value, dtype)

    def cast(self, value: Value, dtype: str) -> Var:
        """Convert the elements."""
        rank = value.rank if isinstance(value, Var) else np.ndim(value)
        return self.add("Cast", [value], dtype, rank, to=self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


class Translation:
    """Translate one node after the other.

    Args:
        graph: Takes the operators.
        values: Name -> constant, parameter or input of the graph; grows by the result of every node.
    """

    def __init__(self, graph: OnnxGraph, values: dict[str, Value]) -> None:
        self.graph = graph
        self.values = values

    def inputs(self, node: Node) -> list[Value]:
        """Give the values that a node reads."""
        return [self.values[name] for name in node.inputs]

    def run(self, nodes: Sequence[Node]) -> None:
        """Translate nodes in order."""
        from mindrestore.inference.onnx_operators import OPERATORS

        for node in nodes:
            if node.op not in OPERATORS:
                raise OnnxError(f"operator {node.op} has no ONNX form here; export MINDIR in its place")
            try:
                self.values[node.output] = OPERATORS[node.op](self.graph, node, *self.inputs(node))
            except MindRestoreError as error:
                raise OnnxError(f"operator {node.op}: {error}") from error


def to_onnx(mindir: bytes, properties: Mapping[str, str]) -> onnx.ModelProto:
    """Translate a MINDIR file with one input and one output.

    Args:
        mindir: Content of the file; free sides stay free.
        properties: Text to keep in the file, such as the name of the network.

    Returns:
        The ONNX model, checked; input `image`, output `restored`.

    Raises:
        OnnxError: ONNX is not installed, or an operator has no ONNX form.

    Example:
        >>> model = to_onnx(Path("model.mindir").read_bytes(), {"model": "aecrnet"})
    """
    onnx = require("onnx")
    source = read_mindir(mindir)
    if len(source.inputs) != 1:
        raise MindIRError(f"the graph has {len(source.inputs)} inputs; only networks of one image can be translated")
    ((name, kind),) = source.inputs.items()
    graph = OnnxGraph(onnx.helper)
    values = {**source.values, name: Var("image", kind.dtype, kind.rank)}
    Translation(graph, values).run(source.nodes)
    result = graph.add("Identity", [values[source.output]], kind.dtype, kind.rank)
    graph.nodes[-1].output[0] = "restored"
    sides = [_sides(onnx, label, kind) for label in ("image", "restored")]
    constants = [onnx.numpy_helper.from_array(array, label) for label, array in graph.constants.values()]
    body = onnx.helper.make_graph(graph.nodes, "mindrestore", [sides[0]], [sides[1]], constants)
    model = onnx.helper.make_model(body, opset_imports=[onnx.helper.make_opsetid("", OPSET)])
    model.ir_version, model.producer_name = _IR_VERSION, "mindrestore"
    onnx.helper.set_model_props(model, dict(properties))
    onnx.checker.check_model(model)
    assert result.rank == kind.rank
    return model


def require(module: str) -> Any:
    """Import a package of the extra `onnx`.

    Raises:
        OnnxError: It is not installed.

    Example:
        >>> require("onnxruntime").__name__
        'onnxruntime'
    """
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise OnnxError(f"{module} is not installed; pip install 'mindrestore[onnx]'") from error


def _sides(onnx: Any, label: str, kind: Kind) -> Any:
    """Describe input or output; a free side gets a name, by which both have the same."""
    free = iter(("height", "width"))
    shape = [next(free) if side == -1 else side for side in kind.shape]
    element = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind.dtype))
    return onnx.helper.make_tensor_value_info(label, element, shape)
