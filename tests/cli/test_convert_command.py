"""`mindrestore convert` and `mindrestore weights` as a user calls them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mindrestore.cli.main import main
from mindrestore.weights.convert import load_weights, read_weights
from mindrestore.weights.torch_writer import write_torch_file
from small import small


@pytest.fixture
def official(tmp_path):
    """Return an official file of a small AECR-Net, and its arrays."""
    net = small("aecrnet")
    arrays = {name: parameter.asnumpy() for name, parameter in net.parameters_and_names()}
    write_torch_file(tmp_path / "official.pth", {f"module.{name}": array for name, array in arrays.items()})
    return tmp_path / "official.pth", arrays


def test_convert_and_back(official, tmp_path, capsys):
    source, arrays = official
    ours, theirs = tmp_path / "ours.ckpt", tmp_path / "theirs.pth"
    hyper = ["--hyper", "blocks=1", "--hyper", "deform_layers=1"]
    assert main(["convert", str(source), "--model", "aecrnet", *hyper, "--out", str(ours)]) == 0
    printed = capsys.readouterr().out
    assert "network aecrnet with channels=8, blocks=1, deform_layers=1" in printed
    assert "licence: published weights: no licence stated, research use" in printed
    assert f"record: {ours}.json" in printed
    assert json.loads((tmp_path / "ours.ckpt.json").read_text())["source"]["file"] == "official.pth"

    assert main(["convert", str(ours), "--to", "torch", "--out", str(theirs), "--all"]) == 0
    assert "down1.1.weight" in capsys.readouterr().out
    back = read_weights(theirs)
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array, err_msg=name)
    fresh = small("aecrnet")
    assert load_weights(fresh, source).missing == ()  # official files load without conversion, too


def test_what_is_ambiguous_is_noted(tmp_path, capsys):
    light = small("mprnet_deraining")
    arrays = {name: parameter.asnumpy() for name, parameter in light.parameters_and_names()}
    write_torch_file(tmp_path / "model_denoising.pth", arrays)
    assert main(["convert", str(tmp_path / "model_denoising.pth"), "--out", str(tmp_path / "x.npz")]) == 0
    captured = capsys.readouterr()
    assert "network mprnet_denoising with n_feat=8" in captured.out
    assert "note: nothing in the file tells mprnet_denoising from mprnet_deblurring, mprnet_deraining" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "x.pth", "--to", "mindspore"], "error: --out x.pth: files for mindspore end in .ckpt"),
        (["--out", "x.ckpt", "--to", "torch"], "error: --out x.ckpt: files for torch end in .pth, .pt"),
        (["--out", "x.ckpt", "--model", "aecrnt"], "unknown network 'aecrnt'; did you mean 'aecrnet'?"),
        (["--out", "x.h5"], "error: x.h5: cannot convert to .h5; use .ckpt"),
        ([], "error: the following arguments are required: --out"),
    ],
)
def test_errors_are_one_line(official, monkeypatch, tmp_path, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["convert", "official.pth", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.glob("x*")) == []


def test_a_misfit_ends_in_the_table_and_one_line(official, tmp_path, capsys):
    source, arrays = official
    del arrays["block.conv1.bias"]
    write_torch_file(source, {**arrays, "vgg.weight": np.zeros(3, np.float32)})
    assert main(["convert", str(source), "--out", str(tmp_path / "x.npz")]) == 2
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == str(source)
    assert lines[1] == "network aecrnet with channels=8"
    counts = {line.split()[0]: line.split()[1] for line in lines[2:]}
    assert counts == {"mapped": "33", "reshaped": "0", "missing": "1", "extra": "1"}
    assert lines[4].split()[2:] == ["block.conv1.bias"]
    assert captured.err.startswith(f"error: {source} does not fit aecrnet: 1 missing, 1 extra; ")
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "x.npz").exists()
    assert main(["convert", str(source), "--out", str(tmp_path / "x.npz"), "--all"]) == 2
    assert len(capsys.readouterr().out.splitlines()) == 6 + 33


def test_a_malicious_file_is_refused(tmp_path, capsys):
    (tmp_path / "w.pth").write_bytes(b"\x80\x02cposix\nsystem\nX\x05\x00\x00\x00touch\x85R.")
    assert main(["convert", str(tmp_path / "w.pth"), "--out", str(tmp_path / "x.npz")]) == 2
    assert "w.pth: asks for posix.system, which no set of weights needs" in capsys.readouterr().err


def test_weights_are_listed_and_taken_from_a_file(official, weights_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINDRESTORE_CACHE", str(tmp_path / "cache"))
    assert main(["weights", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["published", "file", "checksum", "here"] in [line.split()[:4] for line in lines]
    assert any(line.split()[:4] == ["vgg19", "vgg19-dcbb9e9d.pth", "dcbb9e9d", "-"] for line in lines)
    assert main(["weights", "get", "aecrnet-its", "--from", official[0].as_uri(), "--cache", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert f"next: mindrestore convert {tmp_path / 'aecrnet-its' / 'official.pth'} --model aecrnet" in printed
    assert main(["weights", "get", "aecrnet-its"]) == 2
    assert "get it from https://github.com/GlassyWu/AECR-Net" in capsys.readouterr().err
