"""The example for MindSpore Lite, with a stand-in that runs the MINDIR in MindSpore; no card runs it here."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from mindrestore.exporting.exporter import export_cell
from mindrestore.exporting.form import Form
from mindrestore.exporting.reload import MindIREngine
from mindrestore.images.read import read_image
from mindrestore.images.write import write_image
from mindrestore.models.spec import ModelSpec

ROOT = Path(__file__).resolve().parents[2]
SPEC = ModelSpec(name="toy", tasks=("x",), size_multiple=4, min_size=8, parameters=0, paper="", licence="")


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("lite_restore", ROOT / "deploy" / "lite_restore.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Invert(nn.Cell):
    """Make the negative."""

    def construct(self, x):
        return ops.clip_by_value(1 - x, 0.0, 1.0)


def stand_in() -> types.ModuleType:
    """Return the few names of mindspore_lite that the example uses."""

    class Tensor:
        def __init__(self, shape=(), data=None):
            self.shape, self.data = shape, data

        def set_data_from_numpy(self, data):
            assert data.shape == tuple(self.shape)
            assert data.dtype == np.float32
            self.data = data

        def get_data_to_numpy(self):
            return self.data

    class Model:
        def build_from_file(self, path, kind, context):
            assert (kind, context.target, context.ascend.device_id) == ("MINDIR", ["ascend"], 1)
            self.engine = MindIREngine(path)
            self.input = Tensor([1, 3, *self.engine.size])

        def get_inputs(self):
            return [self.input]

        def predict(self, inputs):
            return [Tensor(data=self.engine(inputs[0].data))]

    module = types.ModuleType("mindspore_lite")
    module.Context = lambda: types.SimpleNamespace(ascend=types.SimpleNamespace())
    module.ModelType = types.SimpleNamespace(MINDIR="MINDIR")
    module.Model = Model
    return module


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    path = tmp_path_factory.mktemp("lite") / "tile.mindir"
    export_cell(Invert(), SPEC, path, form=Form(size=(32, 32)))
    return str(path)


@pytest.mark.parametrize("shape", [(70, 101), (5, 9), (32, 32)])
def test_photographs_of_any_size_go_through_tiles_of_one(example, tile, monkeypatch, tmp_path, shape):
    monkeypatch.setitem(sys.modules, "mindspore_lite", stand_in())
    photo = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    write_image(tmp_path / "a.png", photo)
    words = [tile, str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert example.main([*words, "--device-id", "1", "--multiple", "4"]) == 0
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), 255 - photo)


def test_without_the_library_one_line_says_so(example, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "mindspore_lite", None)
    assert example.main(["x.mindir", "a.png", "b.png"]) == 2
    assert capsys.readouterr().err == ("error: mindspore_lite is not installed; see the download page of MindSpore\n")


def test_it_says_that_no_card_ran_it(example):
    assert "NOT RUN ON CARDS" in example.__doc__
    assert ms.get_context("device_target") == "CPU"
