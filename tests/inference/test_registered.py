"""Every registered network, made small, restores images of awkward sizes and exports."""

from __future__ import annotations

import numpy as np
import pytest

from lite_operators import ASCEND, LITE
from mindrestore.exporting.exporter import export_model
from mindrestore.exporting.form import FORMATS, ExportError, Form
from mindrestore.exporting.mindir import read_mindir
from mindrestore.exporting.reload import MindIREngine, OnnxEngine
from mindrestore.inference.restorer import Restorer
from mindrestore.weights.convert import save_weights
from small import NETWORKS, SMALL, small

FORMS = [
    Form(),
    Form("ONNX"),
    Form("ONNX", uint8=True),
    Form(uint8=True),
    Form(size=(64, 96)),
    Form(size=(64, 96), target="cpu"),
    Form("ONNX", size=(64, 96)),
]
# Every export compiles the whole network anew. What stays: a MINDIR of the network with the most kinds of layers. ONNX
# is what `restore` makes of every network (tests/exporting/test_graphs.py), and a network of three layers is exported
# in every form (tests/inference/test_engines.py).
EXPORTS = [
    pytest.param(name, form, marks=() if (name, form) == ("aecrnet", FORMS[0]) else pytest.mark.slow)
    for name in NETWORKS
    for form in FORMS
]
SHAPES = [(1, 1), (3, 70), (7, 5), (17, 23), (40, 48)]


# What stays: the quickest to compile, which samples where it likes, and the one whose windows swing back and forth at
# borders of any size. The others run in other sizes as graphs (tests/exporting/test_graphs.py).
COMPILED = ("aecrnet", "dehazeformer_t")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in COMPILED else pytest.mark.slow) for name in NETWORKS]
)
def test_one_compilation_for_all_sizes_equals_running_operator_by_operator(name):
    restore = Restorer(name, net=small(name), device="CPU")
    eager = Restorer(restore.spec, net=restore.net, compiled=False)
    for shape in SHAPES:
        photo = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        restored = restore(photo)
        assert (restored.shape, restored.dtype) == (photo.shape, np.uint8)
        exact = restore.restore_float(photo.astype(np.float32) / 255)
        assert 0 <= exact.min() <= exact.max() <= 1
        assert np.abs(restored / 255 - exact).max() <= 0.51 / 255
        np.testing.assert_allclose(exact, eager.restore_float(photo.astype(np.float32) / 255), atol=2e-6)
    assert np.abs(exact - photo / 255).max() > 1e-3


@pytest.mark.parametrize(("name", "form"), EXPORTS, ids=str)
def test_every_form_of_export_computes_what_the_network_does(name, form, tmp_path):
    weights, path = tmp_path / "w.safetensors", tmp_path / f"m{FORMATS[form.format]}"
    save_weights(small(name), weights)
    report = export_model(name, weights, path, form=form, hyper=SMALL[name])
    assert len(report.differences) == (1 if form.size else 2)
    assert report.difference < (1.01 / 255 if form.uint8 else 1e-5)
    if form.format == "MINDIR" and form.size:
        assert {node.op for node in read_mindir(path.read_bytes()).nodes} <= LITE | ASCEND
    restore = Restorer(name, weights=weights, device="CPU", hyper=SMALL[name], compiled=False)
    height, width = form.size or (67, 75)
    photo = np.random.default_rng(4).integers(0, 256, (height, width, 3), np.uint8)
    if form.uint8:
        engine = OnnxEngine(path) if form.format == "ONNX" else MindIREngine(path)
        levels = np.abs(engine(photo[None])[0].astype(int) - restore(photo))
        assert (levels.max(), (levels > 0).mean() < 0.01) in [(0, True), (1, True)]
    else:
        exact = restore.restore_float(photo / np.float32(255))
        from_file = Restorer(name, weights=path, device="CPU")
        assert np.abs(from_file.restore_float(photo / np.float32(255)) - exact).max() < 1e-5
        assert np.abs(exact - photo / 255).max() > 1e-3


def test_sizes_off_the_networks_grid_are_refused(tmp_path):
    with pytest.raises(ExportError, match=r"width 50 .* aecrnet takes multiples of 4"):
        export_model("aecrnet", None, tmp_path / "m.mindir", form=Form(size=(48, 50)), hyper=SMALL["aecrnet"])
