"""ONNX files that are not networks of one image: one line each, and nothing hangs."""

from __future__ import annotations

import numpy as np
import pytest

from mindrestore.exporting.onnx_graph import OnnxGraph, Var
from mindrestore.exporting.onnx_proto import model_bytes
from mindrestore.exporting.reload import OnnxEngine, onnx_properties
from mindrestore.exporting.session import EngineError
from mindrestore.inference.engines import open_engine
from mindrestore.inference.restorer import Restorer
from mindrestore.inference.tasks import TaskError
from mindrestore.inference.trained import resolve
from mindrestore.models.registry import model_spec
from mindrestore.weights.wire import field

IMAGE = (1, 3, "height", "width")
SPEC = model_spec("aecrnet")


def write(path, shape=IMAGE, dtype="float32", op="Relu", out=None):
    """Write a model of one operator."""
    graph = OnnxGraph()
    graph.finish(graph.add(op, [Var("image", dtype, len(shape))], dtype, len(shape)), "restored")
    path.write_bytes(model_bytes(graph, (("image", dtype, shape), ("restored", dtype, out or shape)), {}, {}))
    return path


def test_a_plain_file_runs(tmp_path):
    engine = open_engine(SPEC, write(tmp_path / "x.onnx"))
    image = np.random.default_rng(0).random((2, 3, 4, 8), np.float32)
    np.testing.assert_array_equal(engine(image), image)
    assert engine.size is None


@pytest.mark.parametrize(
    ("shape", "dtype", "words"),
    [
        ((1, 3, "height"), "float32", r"takes image tensor\(float\) \[1, 3, 'height'\], not one image"),
        ((1, 1, "height", "width"), "float32", r"\[1, 1, 'height', 'width'\], not one image"),
        (IMAGE, "float64", r"tensor\(double\) .*, not one image"),
        ((2, 3, 8, 8), "float32", r"\[2, 3, 8, 8\], not one image"),
    ],
)
def test_other_inputs_are_named(tmp_path, shape, dtype, words):
    with pytest.raises(EngineError, match=words) as caught:
        OnnxEngine(write(tmp_path / "x.onnx", shape, dtype))
    assert "\n" not in str(caught.value)


def test_two_inputs_are_named(tmp_path):
    path = write(tmp_path / "x.onnx")
    side = field(1, "mask") + field(2, field(1, field(1, 1) + field(2, b"")))
    path.write_bytes(path.read_bytes() + field(7, field(11, side)))  # messages in pieces are joined
    with pytest.raises(EngineError, match=r"takes image tensor\(float\) .*, mask tensor\(float\)"):
        OnnxEngine(path)


@pytest.mark.parametrize("op", ["Loop", "Scan", "If"])
def test_loops_are_refused_before_they_run(tmp_path, op):
    with pytest.raises(EngineError, match=rf"x\.onnx: holds {op}, and might not end"):
        OnnxEngine(write(tmp_path / "x.onnx", op=op))


def test_functions_of_a_file_are_refused(tmp_path):
    path = write(tmp_path / "x.onnx")
    path.write_bytes(path.read_bytes() + field(25, field(1, "f")))
    with pytest.raises(EngineError, match=r"x\.onnx: holds functions"):
        OnnxEngine(path)


@pytest.mark.parametrize("content", [b"", b"junk" * 100, bytes(100)])
def test_damaged_files_are_one_line(tmp_path, content):
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(EngineError, match=r"x\.onnx: ") as caught:
        OnnxEngine(tmp_path / "x.onnx")
    assert "\n" not in str(caught.value)


def test_results_of_another_size_are_named(tmp_path):
    graph = OnnxGraph()
    image = Var("image", "float32", 4)
    graph.finish(graph.add("Concat", [image, image], "float32", 4, axis=3), "restored")
    sides = (("image", "float32", IMAGE), ("restored", "float32", (1, 3, "height", "twice")))
    (tmp_path / "x.onnx").write_bytes(model_bytes(graph, sides, {}, {}))
    with pytest.raises(EngineError, match=r"makes \(1, 3, 4, 16\) of \(1, 3, 4, 8\)"):
        open_engine(SPEC, tmp_path / "x.onnx")(np.zeros((1, 3, 4, 8), np.float32))


def test_results_that_are_not_finite_are_an_error(tmp_path):
    engine = open_engine(SPEC, write(tmp_path / "x.onnx", op="Sqrt"))
    with pytest.raises(EngineError, match=r"x\.onnx: the result holds NaN or infinite values"):
        engine(np.full((1, 3, 4, 4), -1, np.float32))


def test_a_network_of_another_name_is_named(tmp_path):
    content = write(tmp_path / "x.onnx").read_bytes()
    (tmp_path / "x.onnx").write_bytes(content + field(14, field(1, "model") + field(2, "dsrir")))
    with pytest.raises(EngineError, match="holds dsrir, not aecrnet; use that name"):
        open_engine(SPEC, tmp_path / "x.onnx")


def test_a_file_says_what_it_is_for(tmp_path):
    graph = OnnxGraph()
    graph.finish(graph.add("Relu", [Var("image", "float32", 4)], "float32", 4), "restored")
    ends = (("image", "float32", IMAGE), ("restored", "float32", IMAGE))
    path = tmp_path / "rain.onnx"
    path.write_bytes(model_bytes(graph, ends, {"model": "dehazeformer_t", "task": "derain"}, {}))
    assert onnx_properties(path) == {"model": "dehazeformer_t", "task": "derain"}
    found = resolve(weights=path)
    assert (found.model, found.made_for) == ("dehazeformer_t", ("derain",))
    assert not Restorer(found, device="CPU").at_working_size
    assert resolve(task="derain", weights=path).model == "dehazeformer_t"
    with pytest.raises(TaskError, match=r"weights .*rain\.onnx do derain, not dehaze; name others, or that task"):
        resolve(task="dehaze", weights=path)
    path.write_bytes(path.read_bytes()[:-3])
    assert onnx_properties(path) == {}
