"""The exporter: the reloaded file equals the network, and a file that does not is deleted."""

from __future__ import annotations

import stat

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from mindrestore.exporting import exporter
from mindrestore.exporting.exporter import export_cell, export_model
from mindrestore.exporting.form import ExportError, Form


class Tiny(nn.Cell):
    """Two strided layers there and back, output in [0,1]."""

    def __init__(self, shift=0.0):
        super().__init__()
        self.down = nn.Conv2d(3, 4, 3, stride=2, pad_mode="pad", padding=1, has_bias=True, weight_init="normal")
        self.up = nn.Conv2dTranspose(4, 3, 2, stride=2, pad_mode="valid", has_bias=True, weight_init="normal")
        self.shift = shift

    def construct(self, x):
        return ops.sigmoid(self.up(ops.relu(self.down(x)))) + self.shift


@pytest.fixture(scope="module")
def net():
    ms.set_seed(0)
    return Tiny()


def test_free_size(net, spec_of, tmp_path):
    report = export_cell(net, spec_of(), tmp_path / "new/tiny.mindir")
    assert report.path == tmp_path / "new/tiny.mindir"
    assert [path.name for path in report.path.parent.iterdir()] == ["tiny.mindir"]
    assert stat.S_IMODE(report.path.stat().st_mode) == 0o644
    assert list(report.differences) == [(32, 36), (44, 40)]
    assert report.difference < 1e-6
    loaded = nn.GraphCell(ms.load(str(report.path)))
    for height, width in ((8, 12), (64, 20)):
        image = ms.Tensor(np.random.default_rng(3).random((1, 3, height, width), np.float32))
        np.testing.assert_allclose(loaded(image).asnumpy(), net(image).asnumpy(), atol=1e-6)
    assert "any height and width that are multiples of 4" in str(report)
    assert "reloaded and compared at 44x40: largest difference" in str(report)


def test_blanks_and_accents_in_the_path(net, spec_of, tmp_path):
    report = export_cell(net, spec_of(), tmp_path / "my é folder" / "tiny model.mindir", form=Form(size=(8, 8)))
    assert report.path.stat().st_size > 1000


def test_fixed_size(net, spec_of, tmp_path):
    report = export_cell(net, spec_of(), tmp_path / "tiny.mindir", form=Form(size=(16, 24)))
    assert list(report.differences) == [(16, 24)]
    assert report.difference < 1e-6
    assert "16x24" in str(report)


def test_a_differing_file_is_deleted_and_the_old_one_stays(net, spec_of, tmp_path):
    path = tmp_path / "tiny.mindir"
    path.write_bytes(b"old")
    with pytest.raises(ExportError, match=r"differs by .*1\.0e-02 at 32x36"):
        export_cell(net, spec_of(), path, reference=Shifted(net, 0.01))
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ExportError, match="differs by nan"):
        export_cell(net, spec_of(), path, reference=Shifted(net, float("nan")))
    assert export_cell(
        net, spec_of(), path, reference=Shifted(net, 1e-5), form=Form(size=(8, 8))
    ).difference == pytest.approx(1e-5, rel=0.05)


class Shifted(nn.Cell):
    def __init__(self, net, shift):
        super().__init__(auto_prefix=False)
        self.net = net
        self.shift = shift

    def construct(self, x):
        return self.net(x) + self.shift


@pytest.mark.parametrize(
    ("size", "words"),
    [((30, 32), "height 30 .* multiples of 4 from 8 on; use 32"), ((32, 4), "width 4 .* use 8"), ((0, 8), "height 0")],
)
def test_impossible_sizes_are_named(net, spec_of, tmp_path, size, words):
    with pytest.raises(ExportError, match=words):
        export_cell(net, spec_of(), tmp_path / "tiny.mindir", form=Form(size=size))
    assert list(tmp_path.iterdir()) == []


def test_wrong_requests_are_named(net, spec_of, tmp_path):
    with pytest.raises(ExportError, match=r"name it tiny\.mindir"):
        export_cell(net, spec_of(), tmp_path / "tiny.onnx")
    with pytest.raises(ExportError, match=r"name it tiny\.onnx"):
        export_cell(net, spec_of(), tmp_path / "tiny.mindir", form=Form("ONNX"))
    with pytest.raises(ExportError, match="format 'PNG' is not one of MINDIR, ONNX, AIR"):
        Form("PNG")
    with pytest.raises(ExportError, match="AIR holds one image size only"):
        Form("AIR")
    with pytest.raises(ExportError, match="AIR can be written on Ascend only"):
        export_cell(net, spec_of(), tmp_path / "tiny.air", form=Form("AIR", size=(8, 8)))
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot be created"):
        export_cell(net, spec_of(), tmp_path / "file/sub/tiny.mindir")


def test_networks_that_mindspore_cannot_export_are_named(spec_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the compiler leaves its analysis in the working directory

    class Numpy(nn.Cell):
        def construct(self, x):
            return ms.Tensor(np.fft.ifft2(np.fft.fft2(x.asnumpy())).real)

    with pytest.raises(ExportError, match=r"tiny\.mindir: MindSpore cannot export this network .*--size 480x640"):
        export_cell(Numpy(), spec_of(), tmp_path / "out/tiny.mindir")
    assert list((tmp_path / "out").iterdir()) == []


def test_registered_names_go_through_one_path(net, spec_of, tmp_path, monkeypatch):
    spec = spec_of(name="tiny")
    monkeypatch.setattr(exporter, "model_spec", lambda name: spec)
    monkeypatch.setattr(exporter, "create_model", lambda name, **hyper: Tiny(**hyper))
    weights = {name: parameter.asnumpy() for name, parameter in net.parameters_and_names()}
    report = export_model("tiny", weights, tmp_path / "tiny.mindir", form=Form(size=(8, 12)))
    image = ms.Tensor(np.random.default_rng(0).random((1, 3, 8, 12), np.float32))
    loaded = nn.GraphCell(ms.load(str(report.path)))
    np.testing.assert_allclose(loaded(image).asnumpy(), np.clip(net(image).asnumpy(), 0, 1), atol=1e-6)
