"""Build an ONNX graph node by node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Union

import numpy as np

from mindrestore.errors import MindRestoreError


class OnnxError(MindRestoreError):
    """Report a graph that ONNX cannot hold."""


@dataclass(frozen=True)
class Var:
    """Name a value that the ONNX graph computes."""

    name: str
    dtype: str
    rank: int


Value = Union[Var, np.ndarray, int, float, bool, None, tuple]


@dataclass(frozen=True)
class Operator:
    """One node: the kind of operator, names of inputs and outputs, and attributes as Python values."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)


class OnnxGraph:
    """Collect operators and constants of an ONNX graph; what was computed before is not computed again."""

    def __init__(self) -> None:
        self.nodes: list[Operator] = []
        self.constants: dict[tuple, tuple[str, np.ndarray]] = {}
        self._known: dict[tuple, tuple[Var, ...]] = {}

    def add(self, op: str, inputs: Sequence[Value], dtype: str, rank: int, **attributes: Any) -> Var:
        """Add an operator with one output and return that."""
        return self.add_several(op, inputs, [(dtype, rank)], **attributes)[0]

    def add_several(
        self, op: str, inputs: Sequence[Value], kinds: Sequence[tuple[str, int]], **attributes: Any
    ) -> tuple[Var, ...]:
        """Add an operator and return its outputs, one for each (type, rank)."""
        given = tuple(self.name_of(value) for value in inputs)
        key = (op, given, tuple(kinds), repr(sorted(attributes.items())))
        if key not in self._known:
            number = len(self.nodes)
            outputs = tuple(Var(f"{op}_{number}_{i}", *kind) for i, kind in enumerate(kinds))
            self.nodes.append(Operator(op, given, tuple(output.name for output in outputs), attributes))
            self._known[key] = outputs
        return self._known[key]

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

    def cast(self, value: Value, dtype: str) -> Var:
        """Convert the elements."""
        rank = value.rank if isinstance(value, Var) else np.ndim(value)
        return self.add("Cast", [value], dtype, rank, to=np.dtype(dtype))

    def finish(self, value: Value, name: str) -> None:
        """Call the result by the name of the output, and leave out what it does not depend on."""
        self.nodes.append(Operator("Identity", (self.name_of(value),), (name,)))
        needed, kept = {name}, []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                needed.update(node.inputs)
                kept.append(node)
        self.nodes = kept[::-1]
        self.constants = {key: entry for key, entry in self.constants.items() if entry[0] in needed}

    def reads(self, name: str) -> bool:
        """Return whether any operator takes a value."""
        return any(name in node.inputs for node in self.nodes)
