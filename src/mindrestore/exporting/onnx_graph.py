"""Build an ONNX graph node by node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union

import numpy as np

from mindrestore.errors import MindRestoreError


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
        """Return the name of a value; a constant array is added to the graph."""
        if isinstance(value, Var):
            return value.name
        array = np.asarray(value)
        key = (str(array.dtype), array.shape, array.tobytes())
        name, _ = self.constants.setdefault(key, (f"constant_{len(self.constants)}", array))
        return name

    def integers(self, values: Sequence[Value] | Value) -> Value:
        """Return whole numbers, some of which may be computed, as one int64 vector."""
        if isinstance(values, Var):
            return values
        if all(not isinstance(value, Var) for value in values):
            return np.array(values, np.int64)
        parts = [self.vector(value) if isinstance(value, Var) else np.array([value], np.int64) for value in values]
        return self.add("Concat", parts, "int64", 1, axis=0) if len(parts) > 1 else parts[0]

    def vector(self, scalar: Var) -> Var:
        """Return a scalar as a vector of one."""
        return self.add("Unsqueeze", [scalar, np.array([0], np.int64)], scalar.dtype, 1)

    def like(self, value: Value, dtype: str) -> Value:
        """Return a number, or a computed scalar, as a tensor of a type."""
        if isinstance(value, Var):
            return value if value.dtype == dtype else self.cast(value, dtype)
        return np.asarray(value, dtype)

    def finish(self, value: Value, name: str) -> None:
        """Return the result the name of the graph's output."""
        self.nodes.append(self.helper.make_node("Identity", [self.name_of(value)], [name], name=name))

    def cast(self, value: Value, dtype: str) -> Var:
        """Convert the elements."""
        rank = value.rank if isinstance(value, Var) else np.ndim(value)
        return self.add("Cast", [value], dtype, rank, to=self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def require(module: str) -> Any:
    """Import a package of the extra `onnx`.

    Raises:
        OnnxError: It is not installed.
    """
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise OnnxError(f"{module} is not installed; pip install 'mindrestore[onnx]'") from error
