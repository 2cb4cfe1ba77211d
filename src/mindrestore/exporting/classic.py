"""Write a MINDIR in classic operators: those that MindSpore Lite's converter and CANN's graph engine know.

MindSpore's compiler turns sums, products of matrices and products with a number into operators that MindSpore alone
has: SumExt, MatMulExt, Muls, more of them with every release.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

import numpy as np

from mindrestore.exporting.mindir import DTYPES, Kind, kind_of, value_of


def in_classic_operators(data: bytes) -> bytes:
    """Rewrite the operators of a MINDIR that have a classic twin; its numbers stay.

    Args:
        data: Content of a MINDIR file that is not encrypted.

    Returns:
        The content of the new file. Operators without twin stay as they are.
    """
    from mindspore.train.mind_ir_pb2 import ModelProto

    model = ModelProto()
    model.ParseFromString(data)
    graph = _Graph(model)
    nodes = [node for old in model.graph.node for node in graph.rewritten(old)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model.SerializeToString()


class _Graph:
    """What a model's operators give and its constants are, with room for more of both."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.operators = {primitive.name: primitive.op_type for primitive in model.primitives}
        self.constants = {node.output[0]: node for node in model.graph.node if node.op_type == "Constant"}
        self.kinds = {node.output[0]: kind_of(node) for node in model.graph.node}
        self.added: list[Any] = []  # constants of the node that is being rewritten

    def rewritten(self, node: Any) -> list[Any]:
        """Return a node in classic form, behind the constants that it takes."""
        operator = self.operators.get(node.op_type.removeprefix("REF::"))
        self.added = []
        twin = CLASSIC[operator](self, node, tuple(node.input)) if operator in CLASSIC else None
        if twin is None:
            return [node]
        name, inputs = twin
        primitive = self.model.primitives.add(name=f"{name}:classic{len(self.model.primitives)}", op_type=name)
        primitive.prim_type = primitive.PrimType.Value("PRIMITIVE_FUNCTION")
        node.op_type = f"REF::{primitive.name}"
        node.ClearField("input")
        node.input.extend(inputs)
        return [*self.added, node]

    def value(self, name: str) -> Any:
        """Return a constant; the name itself of what is computed."""
        return value_of(self.constants[name]) if name in self.constants else name

    def constant(self, kind: str, **content: Any) -> str:
        """Add a constant and return its name."""
        name = f"classic{len(self.constants)}"
        node = type(self.model.graph.node[0])(name=name, output=[name], op_type="Constant")
        attribute = node.attribute.add(name="value", **content)
        attribute.type = attribute.AttributeType.Value(kind)
        self.constants[name] = node
        self.added.append(node)
        return name

    def tensor(self, name: str, dtype: str) -> str:
        """Return a value as a tensor: a number becomes one of a given type and no axes."""
        value = self.value(name)
        if not isinstance(value, (int, float)):
            return name
        number = next(number for number, known in DTYPES.items() if known == dtype)
        content = {"data_type": number, "raw_data": np.array(value, dtype).tobytes()}
        return self.constant("TENSORS", tensors=[content])


Twin = Callable[[_Graph, Any, Sequence[str]], "tuple[str, list[str]] | None"]


def _of_tensors(twin: str) -> Twin:
    """Make numbers among two values tensors; of a third, which scales the second, only 1 has a twin."""

    def form(graph: _Graph, node: Any, inputs: Sequence[str]) -> tuple[str, list[str]] | None:
        kind = graph.kinds[node.output[0]]
        computed = [graph.kinds[name] for name in inputs[:2] if name in graph.kinds and name not in graph.constants]
        if not all(isinstance(other, Kind) and other.shape is not None for other in (kind, *computed)):
            return None  # numbers that follow from a size
        if kind.dtype not in DTYPES.values() or any(graph.value(name) != 1 for name in inputs[2:]):
            return None
        return twin, [graph.tensor(name, kind.dtype) for name in inputs[:2]]

    return form


def _reduced(twin: str) -> Twin:
    """Sum or average without a change of type."""

    def form(graph: _Graph, node: Any, inputs: Sequence[str]) -> tuple[str, list[str]] | None:
        x, axes, keep, dtype = inputs
        if graph.value(dtype) is not None:
            return None
        if graph.value(axes) is None:  # all of them
            axes = graph.constant("TUPLE")
        return twin, [x, axes, keep, *([graph.constant("BOOL", i=0)] if twin == "ReduceSum" else [])]

    return form


def _matrix_product(graph: _Graph, node: Any, inputs: Sequence[str]) -> tuple[str, list[str]] | None:
    kinds = [graph.kinds[name] for name in (node.output[0], *inputs) if name in graph.kinds]
    ranks = {kind.rank for kind in kinds if isinstance(kind, Kind)}
    if len(ranks) != 1:  # a stack of matrices by one
        return None
    turned = [graph.constant("BOOL", i=0) for _ in inputs]
    return "MatMul" if ranks == {2} else "BatchMatMul", [*inputs, *turned]


CLASSIC: dict[str, Twin] = {
    "AddExt": _of_tensors("Add"),
    "AddScalar": _of_tensors("Add"),
    "Adds": _of_tensors("Add"),
    "BatchMatMulExt": _matrix_product,
    "Divs": _of_tensors("Div"),
    "MatMulExt": _matrix_product,
    "MeanExt": _reduced("ReduceMean"),
    "Muls": _of_tensors("Mul"),
    "PowScalarTensor": _of_tensors("Pow"),
    "PowTensorScalar": _of_tensors("Pow"),
    "SubExt": _of_tensors("Sub"),
    "SubScalar": _of_tensors("Sub"),
    "Subs": _of_tensors("Sub"),
    "SumExt": _reduced("ReduceSum"),
}
