"""A MINDIR made for a device on another one: its operators, its numbers, and what its report says."""

from __future__ import annotations

import mindspore as ms
import pytest
from mindspore import Tensor, nn

from lite_operators import ASCEND, LITE
from mindrestore.exporting.exporter import export_cell
from mindrestore.exporting.form import ExportError, Form
from mindrestore.exporting.mindir import read_mindir
from mindrestore.models.layers import (
    FORMS,
    AveragePool2x2,
    BilinearResize,
    Conv2d,
    Conv3x3,
    DeformConv2d,
    LeakyReLU,
    ReflectPad,
)
from mindrestore.models.registry import model_spec
from mindrestore.models.wrapper import ImageModel

# Ascend's newer operators, which MindSpore runs itself and MindSpore Lite's converter need not know
NEWER = {"AvgPool2D", "Conv2DExt", "Convolution", "LeakyReLUExt", "ReflectionPad2D", "UpsampleBilinear2D"}
GATHERED = "its deformable layers sample by gathers: MindSpore's operator for them takes one image size only"


class Sampled(nn.Cell):
    """One layer of every kind that has a newer operator, and a deformable one."""

    def __init__(self) -> None:
        super().__init__()
        self.half, self.double = AveragePool2x2(), BilinearResize("double")
        self.body = nn.SequentialCell(ReflectPad(1), Conv2d(3, 4, 3), LeakyReLU(0.2), DeformConv2d(4, 4))
        self.last = Conv3x3(4, 3)

    def construct(self, x: Tensor) -> Tensor:
        return x + self.last(self.double(self.body(self.half(x))))


@pytest.fixture(scope="module")
def cell():
    """One network for all files: what was compiled for one target must not be written for another."""
    ms.set_seed(0)
    return ImageModel(Sampled(), model_spec("aecrnet"))


@pytest.mark.parametrize(
    ("form", "sampled", "made_for", "note"),
    [
        (Form(size=(32, 36)), 1, "made for ascend, RGB", "are MindSpore's DeformableOffsets, slow on a CPU"),
        (Form(size=(32, 36), target="cpu"), 0, "made for cpu, RGB", None),
        (Form(target="gpu"), 0, "made for gpu, RGB", GATHERED),
    ],
    ids=str,
)
def test_deformable_layers_are_the_operator_of_cards_where_the_size_is_fixed(
    cell, tmp_path, form, sampled, made_for, note
):
    report = export_cell(cell, model_spec("aecrnet"), tmp_path / "x.mindir", form=form)
    operators = [node.op for node in read_mindir(report.path.read_bytes()).nodes]
    assert operators.count("DeformableOffsets") == sampled
    assert ("Gather" in operators) == (sampled == 0)
    assert operators.count("Conv2D") >= 3
    assert NEWER.isdisjoint(operators)
    if form.size:
        assert set(operators) <= LITE | ASCEND
    assert report.difference < 1e-5
    assert made_for in str(report)
    assert len(report.notes) == (0 if note is None else 1)
    assert (note or "") in str(report)


def test_targets_have_forms_of_layers_that_files_may_hold():
    assert {Form(target=name).layers for name in ("ascend", "gpu", "cpu")} == {"plain", "gpu"} <= set(FORMS)
    assert Form().layers == Form(target="ascend").layers == "gpu"
    assert Form("ONNX").layers == "plain"
    assert repr(Form(target="cpu")) == "Form('MINDIR', size=None, uint8=False, target='cpu')"


def test_wrong_targets_are_named():
    with pytest.raises(ExportError, match="target 'npu' is not one of ascend, gpu, cpu"):
        Form(target="npu")
    with pytest.raises(ExportError, match="ONNX files are the same for every device; only MINDIR takes a target"):
        Form("ONNX", target="gpu")
