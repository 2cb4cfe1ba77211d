"""Exported files in place of a network: same images, fixed sizes as tiles, keys, and one line for what cannot be."""

from __future__ import annotations

import functools
import logging

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from mindrestore.errors import MindRestoreError
from mindrestore.exporting.exporter import export_cell
from mindrestore.exporting.form import KEY_VARIABLE, ExportError, Form, read_key
from mindrestore.exporting.photo_model import PhotoModel
from mindrestore.exporting.reload import EngineError, MindIREngine, OnnxEngine
from mindrestore.inference import devices
from mindrestore.inference.engines import engine_of
from mindrestore.inference.pixels import pad_to
from mindrestore.inference.restorer import Restorer
from mindrestore.inference.stages import restore_stages

KEY = bytes(range(16))


class Local(nn.Cell):
    """Look two pixels around, so that tiles equal the whole, at half the size and back."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, pad_mode="pad", padding=1, has_bias=True, weight_init="normal")
        self.down = nn.Conv2d(3, 4, 2, stride=2, pad_mode="valid", has_bias=True, weight_init="normal")
        self.up = nn.Conv2dTranspose(4, 3, 2, stride=2, pad_mode="valid", has_bias=True, weight_init="normal")

    def construct(self, x):
        return ops.sigmoid(self.conv(x) + self.up(ops.relu(self.down(x))))


@pytest.fixture(scope="module")
def net():
    ms.set_seed(0)
    return Local()


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(2).integers(0, 256, (53, 75, 3), np.uint8)


@pytest.fixture(scope="module", params=["mindir", "onnx"])
def export(request, net, spec_of, tmp_path_factory):
    """Return a function that exports in one format, every form once."""
    folder = tmp_path_factory.mktemp("exported")

    @functools.cache
    def write(**form):
        path = folder / f"my é net {len(list(folder.iterdir()))}.{request.param}"
        export_cell(net, spec_of(), path, form=Form(request.param.upper(), **form))
        return path

    return write


def test_engines_give_the_networks_image(export, net, spec_of, photo):
    expected = Restorer(spec_of(), net=net, compiled=False).restore_float(photo / np.float32(255))
    restore = Restorer(spec_of(), weights=export(), device="CPU")
    np.testing.assert_allclose(restore.restore_float(photo / np.float32(255)), expected, atol=1e-6)
    assert np.abs(restore(photo).astype(int) - Restorer(spec_of(), net=net, compiled=False)(photo)).max() <= 1


def test_a_square_file_is_its_own_tile(export, net, spec_of, photo):
    expected = Restorer(spec_of(), net=net, compiled=False).restore_float(photo / np.float32(255))
    restore = Restorer(spec_of(), weights=export(size=(32, 32)), device="CPU", tile="auto")
    assert restore.layout.tile == 32
    np.testing.assert_allclose(restore.restore_float(photo / np.float32(255)), expected, atol=1e-6)
    assert restore(photo[:7, :9]).shape == (7, 9, 3)
    with pytest.raises(EngineError, match="takes 32x32 pixels; tiles of 64 are not possible"):
        Restorer(spec_of(), weights=restore.engine.path, device="CPU", tile=64)


def test_another_file_takes_what_fits_into_it(export, net, spec_of, photo):
    restore = Restorer(spec_of(), weights=export(size=(56, 80)), device="CPU")
    inside = Restorer(spec_of(), net=net, compiled=False).restore_float(pad_to(photo / np.float32(255), 56, 80))[
        :53, :75
    ]
    np.testing.assert_allclose(restore.restore_float(photo / np.float32(255)), inside, atol=1e-6)
    with pytest.raises(EngineError, match="takes 56x80 pixels, the image has 53x150"):
        restore(np.concatenate((photo, photo), 1))


def test_photographs_go_in_as_they_are(export, net, spec_of, photo):
    path = export(uint8=True)
    engine = OnnxEngine(path) if path.suffix == ".onnx" else MindIREngine(path)
    restore = Restorer(spec_of(min_size=40), net=net, compiled=False)
    for height, width in ((53, 75), (1, 1), (3, 70)):
        part = photo[:height, :width]
        given = engine(part[None])[0]
        assert (given.shape, given.dtype) == (part.shape, np.uint8)
    assert np.abs(engine(photo[None])[0].astype(int) - restore(photo)).max() <= 1
    with pytest.raises(EngineError, match="takes whole photographs by itself"):
        Restorer(spec_of(), weights=path, device="CPU")


def test_photographs_of_one_odd_size(net, spec_of, tmp_path, photo):
    path = tmp_path / "x.mindir"
    assert export_cell(net, spec_of(), path, form=Form(size=(53, 75), uint8=True)).difference < 1.01 / 255
    assert (
        np.abs(
            MindIREngine(path)(photo[None])[0].astype(int) - Restorer(spec_of(), net=net, compiled=False)(photo)
        ).max()
        <= 1
    )


@pytest.mark.parametrize("length", [1, 2, 5, 13, 16, 33])
def test_lines_are_repeated_as_a_restorer_pads(spec_of, length):
    spec = spec_of(size_multiple=8, min_size=20)
    lines = PhotoModel(nn.Identity(), spec).lines(length).asnumpy()
    wanted = max(24, -(-length // 8) * 8)
    np.testing.assert_array_equal(lines, pad_to(np.arange(length)[:, None, None], wanted, 1)[:, 0, 0])


def test_what_a_file_cannot_do_is_said(export, net, spec_of):
    path = export()
    with pytest.raises(MindRestoreError, match="a net is used with the weights it has"):
        Restorer(spec_of(), weights=path, device="CPU", net=net)
    restore = Restorer(spec_of(stages=3), weights=path, device="CPU")
    with pytest.raises(MindRestoreError, match="only engine mindspore shows stages"):
        restore_stages(restore, np.zeros((8, 8, 3), np.float32))
    with pytest.raises(EngineError, match=r"does not run on \(1, 4\)"):
        restore.engine(np.zeros((2, 4), np.float32))


def test_images_of_a_batch_go_through_one_by_one(export, net, spec_of, photo):
    path = export()
    restore = Restorer(spec_of(), weights=path, device="CPU", batch=2)
    twice = restore.restore_batch([photo, photo[::-1]])
    np.testing.assert_array_equal(twice[0], restore(photo))
    np.testing.assert_array_equal(twice[1], restore(photo[::-1]))


def test_broken_and_missing_files_have_one_line(tmp_path, capfd):
    for engine, suffix in ((MindIREngine, "mindir"), (OnnxEngine, "onnx")):
        path = tmp_path / f"x.{suffix}"
        with pytest.raises(EngineError, match="no such file"):
            engine(path)
        path.write_bytes(b"junk" * 100)
        with pytest.raises(EngineError, match=rf"x\.{suffix}: ") as caught:
            engine(path)
        assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_another_network_in_the_file_is_named(net, spec_of, tmp_path):
    export_cell(net, spec_of(name="one"), tmp_path / "x.onnx", form=Form("ONNX", size=(8, 8)))
    with pytest.raises(EngineError, match="holds one, not toy; use that name"):
        Restorer(spec_of(), weights=tmp_path / "x.onnx")


def test_the_suffix_decides_unless_it_contradicts():
    given = ("a.mindir", "a.onnx", "a.ckpt", {}, None)
    assert [engine_of(None, name, "CPU") for name in given] == ["mindir", "onnx", "onnx", "onnx", "mindspore"]
    assert engine_of(None, "a.ckpt", "Ascend") == "mindspore"
    assert engine_of("onnx", "a.ckpt", "Ascend") == "onnx"
    with pytest.raises(EngineError, match=r"engine mindir takes a file \.mindir of `mindrestore export`, not a\.ckpt"):
        engine_of("mindir", "a.ckpt")
    with pytest.raises(EngineError, match=r"engine mindspore takes weights, not a\.onnx"):
        engine_of("mindspore", "a.onnx")
    with pytest.raises(EngineError, match="engine onnx needs weights"):
        engine_of("onnx", None)
    with pytest.raises(EngineError, match="engine 'tvm' is not one of onnx, mindspore, mindir"):
        engine_of("tvm", "a.onnx")


def test_cards_are_looked_for_where_drivers_put_them(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_DEV", tmp_path)
    monkeypatch.delenv("MINDRESTORE_DEVICE", raising=False)
    assert [devices.wants_card(name) for name in ("auto", "CPU", "GPU", "Ascend")] == [False, False, True, True]
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr("mindrestore.engine.context.available_devices", lambda: ["GPU", "CPU"])
    assert devices.wants_card()
    monkeypatch.setattr("mindrestore.engine.context.available_devices", lambda: ["CPU"])
    assert not devices.wants_card()  # a MindSpore that cannot use the card
    monkeypatch.setenv("MINDRESTORE_DEVICE", "Ascend")
    assert devices.wants_card()


def test_an_absent_device_is_named(export, spec_of):
    path = export()
    if path.suffix == ".onnx":
        with pytest.raises(EngineError, match="has no CUDAExecutionProvider"):
            Restorer(spec_of(), weights=path, device="GPU")


def test_an_encrypted_file_needs_its_key(net, spec_of, tmp_path, photo, capfd, caplog):
    path = tmp_path / "secret.mindir"
    with caplog.at_level(logging.DEBUG):
        report = export_cell(net, spec_of(), path, form=Form(key=KEY))
        assert report.difference < 1e-6
        assert b"Conv2D" not in path.read_bytes()
        expected = Restorer(spec_of(), net=net, compiled=False)(photo)
        assert np.abs(Restorer(spec_of(), weights=path, key=KEY)(photo).astype(int) - expected).max() <= 1
        capfd.readouterr()
        with pytest.raises(EngineError, match="it was encrypted with another key, or is damaged") as wrong:
            Restorer(spec_of(), weights=path, key=bytes(16))
        with pytest.raises(EngineError, match="one that is encrypted needs its key") as none:
            Restorer(spec_of(), weights=path)
    assert "\n" not in f"{wrong.value}{none.value}"
    printed = capfd.readouterr()
    assert printed.err == ""
    assert KEY.hex() not in f"{report}{report!r}{caplog.text}{printed.out}"
    assert repr(KEY) not in f"{report}{report!r}{caplog.text}{printed.out}"


def test_a_plain_file_opens_with_a_key_too(net, spec_of, tmp_path):
    export_cell(net, spec_of(), tmp_path / "x.mindir", form=Form(size=(8, 8)))
    assert MindIREngine(tmp_path / "x.mindir", KEY).size == (8, 8)


def test_keys_come_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert read_key() is None
    monkeypatch.setenv(KEY_VARIABLE, "ff" * 24)
    assert read_key() == b"\xff" * 24
    (tmp_path / "k").write_text(f"{KEY.hex()}\n")
    assert read_key(tmp_path / "k") == KEY
    (tmp_path / "short").write_text("abcd")
    with pytest.raises(ExportError, match="32, 48 or 64 hexadecimal digits") as caught:
        read_key(tmp_path / "short")
    assert "abcd" not in str(caught.value)
    with pytest.raises(ExportError, match="no key can be read there"):
        read_key(tmp_path / "absent")
    with pytest.raises(ExportError, match="ONNX files cannot be encrypted"):
        Form("ONNX", key=KEY)
    assert "255" not in repr(Form(key=b"\xff" * 16))


class Rounded(nn.Cell):
    """Compute with whole numbers, negative ones too, and with sizes."""

    def construct(self, x):
        whole = (x * 20 - 10).astype(ms.int32)
        rows = x.shape[2] // 2
        halves = ops.concat((x[:, :, rows:], x[:, :, :rows]), 2)
        return (whole // 3).astype(ms.float32) * 0.01 + ops.tanh(halves) * ops.ones_like(x)


def test_whole_numbers_and_sizes_are_translated(spec_of, tmp_path):
    assert export_cell(Rounded(), spec_of(), tmp_path / "x.onnx", form=Form("ONNX")).difference < 1e-6


class Unknown(nn.Cell):
    """Use an operator that has no form."""

    def construct(self, x):
        return ops.sin(x)


def test_an_operator_without_a_form_is_named(spec_of, tmp_path):
    pytest.importorskip("onnx")
    with pytest.raises(MindRestoreError, match="operator Sin has no ONNX form here; export MINDIR in its place"):
        export_cell(Unknown(), spec_of(), tmp_path / "x.onnx", form=Form("ONNX"))
    assert list(tmp_path.iterdir()) == []
