"""Weights that are not finite are refused by every command, in one line, and nothing is written of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mindrestore.cli.main import main
from mindrestore.images.write import write_image
from mindrestore.recipes.load import load_recipe, recipe_to_yaml
from mindrestore.weights.convert import save_weights
from mindrestore.weights.torch_writer import write_torch_file
from small import SMALL, overrides_of, small

NETWORK = "dehazeformer_t"
# not those of the quickstart's network
SETTINGS = [f"model.name={NETWORK}", *overrides_of(NETWORK)]


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Return a folder with weights of which one value is NaN or infinite, a run folder of them, and pairs of images."""
    folder = tmp_path_factory.mktemp("damaged")
    values = {name: p.asnumpy().copy() for name, p in small(NETWORK).parameters_and_names()}
    name = next(name for name, value in values.items() if value.ndim == 4)
    values[name][0, 0, 1, 1] = np.nan
    np.savez(folder / "nan.npz", **values)
    values[name][0, 0, 1, 1] = -np.inf
    write_torch_file(folder / "inf.pth", values)
    run = folder / "run"
    run.mkdir()
    recipe = load_recipe("dehazeformer/cross_light", SETTINGS)
    (run / "recipe.yaml").write_text(recipe_to_yaml(recipe))
    (run / "metrics.jsonl").write_text(json.dumps({"kind": "train", "step": 7, "seconds": 2}) + "\n")
    (run / "env.json").write_text(json.dumps({"cores": 1, "started": "now", "device": "CPU", "packages": {}}))
    net = small(NETWORK)
    parameter = dict(net.parameters_and_names())[name]
    broken = parameter.asnumpy().copy()
    broken[0, 0, 1, 1] = np.inf
    parameter.set_data(parameter.value().__class__(broken))
    save_weights(net, run / "best.ckpt")
    for split in ("train", "test"):
        for kind in ("hazy", "clear"):
            for number in range(2):
                image = np.random.default_rng(number).integers(0, 256, (32, 40, 3), np.uint8)
                write_image(folder / "pairs" / split / kind / f"{number}.png", image)
    return folder


def hyper():
    return [word for key, value in SMALL[NETWORK].items() for word in ("--hyper", f"{key}={json.dumps(value)}")]


def refused(words, capsys, file, value):
    """Run a command and return nothing but its one line."""
    assert main([str(word) for word in words]) == 2
    lines = [
        line for line in capsys.readouterr().err.splitlines() if not line.startswith("mak") and line[:7] != "made in"
    ]
    assert len(lines) == 1  # behind what it says about a graph that has to be made first
    assert lines[0].startswith("error: ")
    assert f"{file}" in lines[0]
    assert f"are not finite ({value} at (0, 0, 1, 1)); the training had diverged" in lines[0]


@pytest.mark.parametrize(("file", "value"), [("nan.npz", "nan"), ("inf.pth", "-inf")])
@pytest.mark.parametrize("engine", ["onnx", "mindspore"])
def test_restore(damaged, tmp_path, capsys, file, value, engine):
    photo = damaged / "pairs" / "test" / "hazy" / "0.png"
    source = ["--model", NETWORK, "--weights", damaged / file, *hyper(), "--device", "CPU", "--engine", engine]
    refused(["restore", photo, *source, "--out", tmp_path / "out"], capsys, file, value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("engine", ["onnx", "mindspore"])
def test_eval(damaged, tmp_path, capsys, engine):
    words = ["--data", damaged / "pairs", "--device", "CPU", "--engine", engine, "--out", tmp_path / "report"]
    refused(["eval", damaged / "run", *words], capsys, "best.ckpt", "inf")
    refused(["eval", "--model", NETWORK, "--weights", damaged / "nan.npz", *hyper(), *words], capsys, "nan.npz", "nan")
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("name", ["a.onnx", "a.mindir"])
def test_export(damaged, tmp_path, capsys, name):
    refused(["export", damaged / "run", "--out", tmp_path / name], capsys, "best.ckpt", "inf")
    source = ["--model", NETWORK, "--weights", damaged / "inf.pth", *hyper()]
    refused(["export", *source, "--out", tmp_path / name], capsys, "inf.pth", "-inf")
    assert not list(tmp_path.iterdir())


def test_convert(damaged, tmp_path, capsys):
    named = ["--model", NETWORK, *hyper()]
    refused(["convert", damaged / "inf.pth", *named, "--out", tmp_path / "a.ckpt"], capsys, "inf.pth", "-inf")
    words = ["--to", "torch", "--out", tmp_path / "a.pth"]
    refused(["convert", damaged / "run" / "best.ckpt", *words], capsys, "best.ckpt", "inf")
    assert not list(tmp_path.iterdir())


def test_training_from_them(damaged, tmp_path, capsys):
    words = [*SETTINGS, f"model.weights={damaged / 'nan.npz'}"]
    words += [f"data.root={damaged / 'pairs'}", "data.patch_size=32", "data.mix=[]", f"output.root={tmp_path / 'runs'}"]
    refused(["train", "--recipe", "dehazeformer/cross_light", "--device", "CPU", *words], capsys, "nan.npz", "nan")
    assert not list(tmp_path.rglob("*.ckpt"))


def test_packing(damaged, tmp_path, capsys):
    words = ["--task", "dehaze", "--name", "x_free", "--data", "scenes of mindrestore data=Apache-2.0"]
    refused(["weights", "pack", damaged / "run", *words, "--folder", tmp_path], capsys, "best.ckpt", "inf")
    assert not list(tmp_path.iterdir())
    (damaged / "run" / "env.json").write_text("{}")
    assert main([*map(str, ["weights", "pack", damaged / "run", *words, "--folder", tmp_path])]) == 2
    line = f"error: {damaged / 'run'}: metrics.jsonl or env.json is not what `mindrestore train` writes ('cores'); "
    assert capsys.readouterr().err == f"{line}name the whole run folder\n"
