"""Graphs without weights: found, made once, kept, made again when damaged, and equal to the networks."""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from mindrestore.exporting import graphs
from mindrestore.exporting.graph_file import NetworkGraph
from mindrestore.exporting.graphs import FOLDER, graph_for, graph_key, read_samples, shipped_settings
from mindrestore.exporting.mindir import read_mindir
from mindrestore.exporting.onnx_file import to_onnx
from mindrestore.exporting.onnx_graph import OnnxGraph, Var
from mindrestore.exporting.onnx_proto import model_bytes
from mindrestore.exporting.session import EngineError, open_session, threads
from mindrestore.files import WriteError
from mindrestore.inference.engines import GraphEngine, open_engine
from mindrestore.models.registry import builder_name, list_models, model_spec
from mindrestore.weights.errors import WeightError
from mindrestore.weights.layout import WeightLayout, layout_of
from small import small

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements.txt"
MADE_WITH = re.search(r"^mindspore==(.+)$", REQUIREMENTS.read_text(), re.M)[1]
HYPER = {"channels": 8, "blocks": 1}
SPEC = model_spec("aecrnet")


def scaling() -> NetworkGraph:
    """Build a graph that multiplies the image by its only parameter."""
    graph = OnnxGraph()
    y = graph.add("Mul", [Var("image", "float32", 4), Var("gain", "float32", 1)], "float32", 4)
    graph.finish(y, "restored")
    sides = tuple((name, "float32", (1, 3, "height", "width")) for name in ("image", "restored"))
    model = model_bytes(graph, sides, {"model": "toy"}, {"gain": np.zeros(1, np.float32)})
    return NetworkGraph(model, WeightLayout("Toy", {"gain": (1,)}, 1), ("gain",))


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Put a builder that needs no MindSpore in place of the real one, and an empty cache; return what was built."""
    calls = []
    monkeypatch.setenv("MINDRESTORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("mindrestore.exporting.weightless.build_graph", lambda *given: calls.append(given) or scaling())
    return calls


@pytest.fixture
def lines():
    """Collect what is told."""
    return []


def kept(tmp_path):
    return tmp_path / "cache" / "graphs" / graph_key("aecrnet", HYPER)


def test_a_graph_is_made_once(made, lines, tmp_path):
    first, again = (graph_for("aecrnet", HYPER, lines.append) for _ in range(2))
    assert made == [("aecrnet", HYPER)]
    assert first == again == scaling()
    assert lines[0].startswith("making the graph of aecrnet with these hyper-parameters, once")
    assert lines[1].startswith("made in 0 s and kept as ")
    assert lines[1].endswith(str(kept(tmp_path)))
    assert len(lines) == 2


@pytest.mark.parametrize("damage", [b"", b"junk", None])
def test_a_damaged_file_is_made_again(made, lines, tmp_path, damage):
    whole = scaling().to_bytes()
    kept(tmp_path).parent.mkdir(parents=True)
    kept(tmp_path).write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert graph_for("aecrnet", HYPER, lines.append) == scaling()
    assert "cannot be used (damaged, or not a graph" in lines[0]
    assert kept(tmp_path).read_bytes() == whole
    assert graph_for("aecrnet", HYPER, lines.append) == scaling()
    assert len(made) == 1


@pytest.mark.parametrize("reason", ["no permission to write there", "the disk is full"])
def test_a_cache_that_cannot_be_written_is_said(made, lines, monkeypatch, reason):
    def refuse(path, data):
        raise WriteError(f"{path}: {reason}")

    monkeypatch.setattr(graphs, "write_bytes", refuse)
    assert graph_for("aecrnet", HYPER, lines.append) == scaling()
    assert lines[-1].startswith("made in 0 s, but not kept for the next time: ")
    assert reason in lines[-1]


def test_a_cache_that_is_no_folder_is_said(made, lines, tmp_path):
    (tmp_path / "cache").write_bytes(b"")
    assert graph_for("aecrnet", HYPER, lines.append) == scaling()
    assert "cannot be used (Not a directory); the graph is made again" in lines[0]
    assert lines[-1].startswith("made in 0 s, but not kept for the next time: ")
    assert (tmp_path / "cache").read_bytes() == b""


def test_a_disk_that_is_full_leaves_no_half_file(made, lines, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # bytes of a file, fewer than the graph has
    try:
        assert graph_for("aecrnet", HYPER, lines.append) == scaling()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert lines[-1].startswith("made in 0 s, but not kept for the next time: ")
    assert list(kept(tmp_path).parent.iterdir()) == []


def test_the_cache_is_bounded(made, lines, tmp_path, monkeypatch):
    monkeypatch.setattr(graphs, "KEPT", 3)
    for number, blocks in enumerate((1, 2, 3)):
        graph_for("aecrnet", {"blocks": blocks}, lines.append)
        os.utime(kept(tmp_path).parent / graph_key("aecrnet", {"blocks": blocks}), (number, number))
    graph_for("aecrnet", {"blocks": 1}, lines.append)  # used now: the one of two blocks is the oldest
    graph_for("aecrnet", {"blocks": 4}, lines.append)
    names = {path.name for path in kept(tmp_path).parent.iterdir()}
    assert names == {graph_key("aecrnet", {"blocks": blocks}) for blocks in (1, 3, 4)}


def test_what_cannot_be_made_is_one_line(monkeypatch, tmp_path, lines):
    monkeypatch.setenv("MINDRESTORE_CACHE", str(tmp_path))
    monkeypatch.setattr("mindrestore.exporting.weightless.ms.export", lambda *given, **more: _fail())
    with pytest.raises(EngineError, match="the graph of aecrnet cannot be made: no; engine mindspore runs the network"):
        graph_for("aecrnet", HYPER, lines.append)


def _fail():
    raise RuntimeError("no")


def test_keys_follow_what_a_graph_depends_on():
    assert graph_key("crossdehaze") == graph_key("dehazeformer_b") != graph_key("dehazeformer_s")
    assert graph_key("aecrnet", {"init_gain": 0.5}) == graph_key("aecrnet")  # of initial weights only
    assert graph_key("aecrnet", {"channels": 32}) != graph_key("aecrnet")
    lists = {"attention": [0.0, 0.5, 1.0], "widths": [24, 48, 96]}
    assert graph_key("dehazeformer_t", lists) == graph_key("dehazeformer_t")
    assert {len(graph_key(name).rpartition("-")[2]) for name in list_models()} == {len("0123456789ab.zip")}


def test_every_builder_has_a_sample():
    """A network that has none would keep its graphs whatever becomes of its layers."""
    sampled = {builder_name(sample.network) for sample in read_samples()}
    assert sampled == {builder_name(name) for name in list_models()}
    assert {sample.hyper["mixer"] for sample in read_samples() if "mixer" in sample.hyper} == {"depthwise", "double"}


def test_layers_that_change_give_the_graph_another_name(monkeypatch):
    before = {name: graph_key(name) for name in list_models()}
    changed = [s._replace(digest="0") if s.network == "dehazeformer_m" else s for s in read_samples()]
    monkeypatch.setattr(graphs, "read_samples", lambda: tuple(changed))
    renamed = {name for name in list_models() if graph_key(name) != before[name]}
    assert renamed == {name for name in list_models() if builder_name(name) == builder_name("dehazeformer_m")}


def test_every_network_and_every_weight_file_that_ships_has_its_graph():
    """`python scripts/rebuild_graphs.py --write` mends it."""
    assert {path.name for path in FOLDER.glob("*.zip")} == set(shipped_settings())
    assert {name for name, _ in shipped_settings().values()} >= set(list_models()) - {"dehazeformer_b"}
    for name in list_models():
        graph = graph_for(name)
        assert 0.99 * model_spec(name).parameters < graph.layout.learnt <= model_spec(name).parameters
        assert set(graph.reads) <= set(graph.layout.names)


def test_the_graph_of_a_network_without_a_digest_is_made_every_time(made, lines, monkeypatch, tmp_path):
    without = [sample for sample in read_samples() if sample.network != "aecrnet"]
    for samples in (without, [*without, graphs.Sample("aecrnet", HYPER, "")]):
        monkeypatch.setattr(graphs, "read_samples", lambda samples=samples: tuple(samples))
        made.clear()
        assert [graph_for("aecrnet", HYPER, lines.append) for _ in range(2)] == [scaling(), scaling()]
        assert len(made) == 2
    assert "but not kept: aecrnet is new; `python scripts/rebuild_graphs.py --write` keeps it" in lines[-1]
    assert not (tmp_path / "cache").exists()


@pytest.fixture(scope="module", params=[sample.network for sample in read_samples()])
def sample(request):
    """Make the graph of a small network anew, or take the one that another test of this run has made."""
    (found,) = (sample for sample in read_samples() if sample.network == request.param)
    return found, graph_for(found.network, found.hyper)


def test_no_graph_is_stale(sample):
    """The small form of a network says it in a second: `python scripts/rebuild_graphs.py --write` mends it."""
    kept, graph = sample
    if ms.__version__ != MADE_WITH:
        pytest.skip(f"the graphs of the package are made with MindSpore {MADE_WITH}")
    assert graph.digest == kept.digest


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.zip")))
def test_graphs_made_anew_are_those_that_ship(name):
    from mindrestore.exporting.weightless import build_graph

    if ms.__version__ != MADE_WITH:
        pytest.skip(f"the graphs of the package are made with MindSpore {MADE_WITH}")
    assert build_graph(*shipped_settings()[name]) == NetworkGraph.of_bytes((FOLDER / name).read_bytes())


def test_engines_compute_the_same(sample, monkeypatch):
    from mindrestore.inference.cell_engine import CellEngine

    (name, hyper, _), graph = sample
    monkeypatch.setattr("mindrestore.inference.engines.graph_for", lambda *given: graph)
    spec, net = model_spec(name), small(name)
    weights = {key: parameter.asnumpy() for key, parameter in net.parameters_and_names()}
    engine = open_engine(spec, weights, hyper=hyper, device="CPU")
    assert isinstance(engine, GraphEngine)
    expected_of = CellEngine(net, spec, compiled=False)
    for size in ((64, 96), (128, 64)):
        image = np.random.default_rng(0).random((2, 3, *size), np.float32)
        expected = expected_of(image)
        assert np.abs(engine(image) - expected).max() <= 1e-5
        assert np.abs(expected - image).max() > 1e-3


def test_layouts_survive_their_file():
    net = small("mprnet_deraining")
    layout = layout_of(net)
    assert layout.tied
    graph = NetworkGraph(b"model", layout, ("tail.weight",))
    assert NetworkGraph.of_bytes(graph.to_bytes()) == graph
    assert graph.to_bytes() == graph.to_bytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(made, bad):
    with pytest.raises(WeightError, match="1 of the 1 values of gain are not finite"):
        GraphEngine(SPEC, {"gain": np.array([bad], np.float32)}, HYPER)


@pytest.mark.parametrize(("gain", "pixel"), [(1e38, 1e30), (-1e38, 1e30)])
def test_results_that_are_not_finite_are_an_error(made, gain, pixel):
    engine = GraphEngine(SPEC, {"gain": np.array([gain], np.float32)}, HYPER)
    with pytest.raises(EngineError, match="this set of weights: the result holds NaN or infinite values"):
        engine(np.full((1, 3, 4, 4), pixel, np.float32))


def test_other_weights_are_refused(made):
    with pytest.raises(WeightError, match="does not fit Toy"):
        GraphEngine(SPEC, {"other": np.zeros(3, np.float32)}, HYPER)
    with pytest.raises(WeightError, match=r"no such file"):
        GraphEngine(SPEC, "absent.pth", HYPER)
    assert len(made) == 1  # a file that is not there is said before a graph is made


def test_threads_follow_the_environment_and_the_affinity(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    monkeypatch.setattr("psutil.cpu_count", lambda logical: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads() == 4
    for given, expected in (("3", 3), ("9", 6), ("2,1", 2), ("junk", 4), ("0", 4)):
        monkeypatch.setenv("OMP_NUM_THREADS", given)
        assert threads() == expected
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads() == 1


def test_onnx_accepts_what_is_written():
    pytest.importorskip("mindspore")  # which cannot be imported after onnx
    onnx = pytest.importorskip("onnx")
    graph = OnnxGraph()
    x = Var("image", "float32", 4)
    y = graph.add("Pad", [x, np.array([0, 0, 1, 1, 0, 0, 1, 1])], "float32", 4, mode="reflect")
    y = graph.add("AveragePool", [y], "float32", 4, kernel_shape=[3, 3], strides=[1, 1])
    y = graph.add(
        "Cast", [graph.add("Cast", [y], "float16", 4, to=np.dtype("float16"))], "float32", 4, to=np.dtype("float32")
    )
    graph.add("Relu", [y], "float32", 4)  # nothing depends on it
    graph.finish(y, "restored")
    assert [node.kind for node in graph.nodes] == ["Pad", "AveragePool", "Cast", "Cast", "Identity"]
    sides = tuple((name, "float32", (1, 3, "height", "width")) for name in ("image", "restored"))
    content = model_bytes(graph, sides, {"model": "toy"}, {})
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"model": "toy"}
    image = np.random.default_rng(0).random((1, 3, 5, 7), np.float32)
    restored = open_session(content).run(None, {"image": image})[0]
    padded = np.pad(image[0], ((0, 0), (1, 1), (1, 1)), "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2)).mean((-1, -2))
    np.testing.assert_allclose(restored[0], windows, atol=1e-3)


class _HalfRead(nn.Cell):
    """Multiply by one parameter, and compute with another what nobody uses."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = ms.Parameter(ms.Tensor([1.0], ms.float32), name="gain")
        self.idle = ms.Parameter(ms.Tensor([1.0], ms.float32), name="idle")

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        shown = x * self.idle, x * self.gain
        return shown[1]


def test_a_parameter_that_the_graph_does_not_read_is_not_asked_for(tmp_path):
    """MINDIR lists it all the same, and onnxruntime refuses a value for what is not in the graph."""
    net = _HalfRead()
    file = tmp_path / "net.mindir"
    ms.export(net, ms.Tensor(shape=(1, 3, None, None), dtype=ms.float32), file_name=str(file), file_format="MINDIR")
    data = file.read_bytes()
    assert set(read_mindir(data).names.values()) == {"gain", "idle"}
    made = to_onnx(data, {"model": "toy"}, left_out={name: f"own.{name}" for name in ("gain", "idle")})
    assert made.left_out == ("own.gain",)
    session = open_session(made.content, {"own.gain": np.array([0.5], np.float32)})
    (restored,) = session.run(None, {"image": np.full((1, 3, 2, 2), 0.5, np.float32)})
    np.testing.assert_array_equal(restored, np.full((1, 3, 2, 2), 0.25, np.float32))
