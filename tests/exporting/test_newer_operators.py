"""Operators that newer MindSpore releases create compute in ONNX what they are documented to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mindrestore.exporting.mindir import Kind, Node
from mindrestore.exporting.onnx_graph import OnnxError, OnnxGraph, Var
from mindrestore.exporting.onnx_newer import NEWER
from mindrestore.exporting.onnx_proto import model_bytes
from mindrestore.exporting.session import open_session

X = np.random.default_rng(0).random((2, 3, 4), np.float32) + 0.5
Y = np.random.default_rng(1).random((2, 3, 4), np.float32) + 0.5
M = np.random.default_rng(2).random((2, 4, 5), np.float32)
KIND = Kind("float32", X.shape)


def computed(op, *inputs, kind=KIND, attributes=None, dtype="float32"):
    """Run one operator on the image X: `x` among the inputs stands for it."""
    graph, image = OnnxGraph(), Var("image", "float32", 3)
    given = [image if isinstance(value, str) else value for value in inputs]
    value = NEWER[op](graph, Node(op, (), "out", attributes or {}, kind), *given)
    parts = value if isinstance(value, tuple) else (value,)
    found = []
    for part in parts:
        single = OnnxGraph()
        single.nodes, single.constants = list(graph.nodes), dict(graph.constants)
        single.finish(part, "restored")
        sides = (("image", "float32", X.shape), ("restored", dtype, ["a", "b", "c", "d"][: part.rank]))
        session = open_session(model_bytes(single, sides, {}, {}))
        found.append(session.run(None, {"image": X})[0])
    return found if isinstance(value, tuple) else found[0]


@pytest.mark.parametrize(
    ("op", "inputs", "expected"),
    [
        ("Adds", ("x", 2), X + 2),
        ("Adds", (2.5, "x"), X + 2.5),
        ("Subs", ("x", 2), X - 2),
        ("Subs", (2.0, "x"), 2 - X),
        ("Muls", ("x", -3), X * -3),
        ("Divs", ("x", 2), X / 2),
        ("Divs", (1, "x"), 1 / X),
        ("AddExt", ("x", Y, 1), X + Y),
        ("AddExt", ("x", Y, 2), X + 2 * Y),
        ("AddScalar", ("x", 3, 0.5), X + 1.5),
        ("SubExt", ("x", Y), X - Y),
        ("SubScalar", ("x", 3, 2), X - 6),
        ("DivMod", ("x", Y, None), X / Y),
        ("DivMods", ("x", 4), X / 4),
        ("Pow", ("x", Y), X**Y),
        ("PowTensorScalar", ("x", 2), X**2),
        ("PowScalarTensor", (2, "x"), 2**X),
        ("Square", ("x",), X * X),
        ("Exp", ("x",), np.exp(X)),
        ("Rsqrt", ("x",), 1 / np.sqrt(X)),
        ("Reciprocal", ("x",), 1 / X),
        ("SiLU", ("x",), X / (1 + np.exp(-X))),
        ("ClampScalar", ("x", 0.7, 1.1), X.clip(0.7, 1.1)),
        ("ClampTensor", ("x", None, np.float32(1.1)), X.clip(None, 1.1)),
    ],
)
def test_elementwise(op, inputs, expected):
    np.testing.assert_allclose(computed(op, *inputs), expected, rtol=1e-6)


@pytest.mark.parametrize("axes", [(1,), (1, 2), -1, None])
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(("op", "function"), [("SumExt", np.sum), ("MeanExt", np.mean)])
def test_sums_and_means(op, function, axes, keep):
    expected = function(X, axis=axes if not isinstance(axes, list) else tuple(axes), keepdims=keep)
    kind = Kind("float32", np.shape(expected))
    np.testing.assert_allclose(computed(op, "x", axes, keep, None, kind=kind), expected, rtol=1e-6)


def test_shapes():
    product = Kind("float32", (2, 3, 5))
    np.testing.assert_allclose(computed("BatchMatMulExt", "x", M, kind=product), X @ M, rtol=1e-6)
    turned = Kind("float32", (4, 2, 3))
    np.testing.assert_array_equal(computed("TransposeView", "x", (2, 0, 1), kind=turned), X.transpose(2, 0, 1))
    np.testing.assert_array_equal(computed("SliceExt", "x", 2, 1, 4, 2), X[:, :, 1:4:2])
    raised = Kind("float32", (2, 1, 3, 4))
    np.testing.assert_array_equal(computed("ExpandDims", "x", 1, kind=raised), X[:, None])
    whole = Kind("float32", (2, 3, 4))
    row = computed("SliceExt", "x", 1, 0, 1, 1, kind=Kind("float32", (2, 1, 4)))
    assert row.shape == (2, 1, 4)
    np.testing.assert_array_equal(computed("Squeeze", "x", (), kind=whole), X)
    halves = computed("SplitTensor", "x", 2, -1, kind=(KIND, KIND))
    np.testing.assert_array_equal(np.concatenate(halves, -1), X)
    assert [part.shape for part in halves] == [(2, 3, 2)] * 2
    parts = computed("SplitWithSize", "x", (1, 3), 2, kind=(KIND, KIND))
    assert [part.shape[2] for part in parts] == [1, 3]
    np.testing.assert_array_equal(np.concatenate(parts, 2), X)


def test_rounding_divisions_are_refused():
    with pytest.raises(OnnxError, match="divisions that round"):
        computed("DivMod", "x", Y, 2)


def test_every_newer_operator_is_tried_here():
    text = Path(__file__).read_text(encoding="utf-8")
    assert [op for op in NEWER if f'"{op}"' not in text] == []
