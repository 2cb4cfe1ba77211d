"""The commands and settings files of DehazeFormer and CrossDehaze, and the results file of their protocol."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from mindrestore.cli.main import build_parser, main, parse
from mindrestore.cli.train import choose_recipe
from mindrestore.errors import MindRestoreError
from mindrestore.evaluation.protocol import get_protocol
from mindrestore.evaluation.published import write_published
from mindrestore.evaluation.results import Evaluation, Measurement
from mindrestore.recipes.load import load_recipe


def train_recipe(words):
    return load_recipe(*choose_recipe(parse(build_parser(), ["train", *shlex.split(words)])))


def eval_arguments(words):
    return parse(build_parser(), ["eval", *shlex.split(words)])


@pytest.mark.parametrize(
    ("words", "name", "model", "dataset"),
    [
        ("--model scaleupdehazing --dataset NID --exp nid", "crossdehaze/nid", "crossdehaze", "NID"),
        ("--exp nid", "crossdehaze/nid", "crossdehaze", "nid"),
        ("--dataset RSID --exp rsid", "crossdehaze/rsid", "crossdehaze", "RSID"),
        (
            "--model dehazeformer-b --dataset RESIDE-IN --exp indoor",
            "dehazeformer/indoor_b",
            "dehazeformer_b",
            "RESIDE-IN",
        ),
        ("--model dehazeformer_l --exp outdoor", "dehazeformer/outdoor_t", "dehazeformer_l", "reside_out"),
        ("--exp rshaze", "dehazeformer/rshaze_t", "crossdehaze", "rs_haze"),
    ],
)
def test_published_training_commands(words, name, model, dataset):
    recipe = train_recipe(words)
    assert (recipe.name, recipe.model.name, recipe.data.dataset) == (name, model, dataset)
    assert (recipe.data.root, recipe.output.root, recipe.data.mix) == ("./data/", "./saved_models/", ())
    assert (recipe.train.amp, recipe.loss_scale.kind) == ("float16", "dynamic")
    assert (recipe.then is not None) == name.startswith("crossdehaze")


def test_an_unknown_variant_names_the_closest(tmp_path, capsys):
    assert main(["train", "--exp", "indoor", "--model", "dehazeformer-x", "--data_dir", str(tmp_path)]) == 2
    assert "unknown model 'dehazeformer-x'; did you mean 'dehazeformer_" in capsys.readouterr().err


def test_other_flags_and_overrides():
    recipe = train_recipe("--exp nid --data_dir /d --save_dir out --num_workers 3 --no_autocast --gpu 0 data.root=/e")
    assert (recipe.data.root, recipe.output.root, recipe.data.workers) == ("/e", "out", 3)
    assert (recipe.train.amp, recipe.loss_scale.kind) == ("O0", "none")


def test_a_named_recipe_keeps_its_mix_and_folders():
    recipe = train_recipe("--recipe crossdehaze/nid_stage1 --num_workers 2")
    assert (len(recipe.data.mix), recipe.data.root, recipe.output.root) == (2, None, "runs")


SETTINGS = {
    "batch_size": 4,
    "patch_size": 128,
    "valid_mode": "valid",
    "edge_decay": 0.1,
    "only_h_flip": False,
    "optimizer": "adam",
    "lr": 2e-4,
    "epochs": 300,
    "eval_freq": 5,
}


def write_settings(folder, **changes):
    path = folder / "default.json"
    path.write_text(json.dumps({**SETTINGS, **changes}))
    return path


def test_a_settings_file_changes_the_recipe(tmp_path):
    recipe = train_recipe(f"--config-json {write_settings(tmp_path)}")
    assert recipe.name == "crossdehaze/nid"
    assert (recipe.train.batch_size, recipe.data.patch_size, recipe.data.val_crop) == (4, 128, 128)
    assert (recipe.data.edge_decay, recipe.data.augment) == (0.1, ("hflip", "rot90"))
    assert (recipe.optim.name, recipe.optim.weight_decay, recipe.optim.lr) == ("adam", 0.0, 2e-4)
    assert (recipe.schedule.min_lr, recipe.train.epochs, recipe.train.val_every) == (2e-6, 301, 5)
    other = write_settings(tmp_path, valid_mode="test", only_h_flip=True, optimizer="adamw")
    recipe = train_recipe(f"--exp indoor --model dehazeformer-t --config-json {other} train.batch_size=2")
    assert (recipe.name, recipe.data.val_crop, recipe.data.augment) == ("dehazeformer/indoor_t", None, ("hflip",))
    assert (recipe.optim.name, recipe.optim.weight_decay, recipe.train.batch_size) == ("adamw", 0.01, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patchsize": 1}, "unknown setting 'patchsize'; did you mean 'patch_size'"),
        ({"valid_mode": "middle"}, "valid_mode 'middle' is not understood"),
        ({"lr": "fast"}, "lr 'fast' is not understood"),
        ({"batch_size": 0}, r"train\.batch_size: 0 is out of range; use a number of at least 1 and at most 4096"),
    ],
)
def test_wrong_settings_are_named(tmp_path, changes, message):
    with pytest.raises(MindRestoreError, match=message):
        train_recipe(f"--config-json {write_settings(tmp_path, **changes)}")


def test_a_settings_file_that_is_none(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(MindRestoreError, match=r"x\.json: cannot be read"):
        train_recipe(f"--config-json {tmp_path / 'x.json'}")
    with pytest.raises(MindRestoreError, match=r"y\.json: cannot be read"):
        train_recipe(f"--config-json {tmp_path / 'y.json'}")


def test_published_test_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = Path("saved_models/indoor/dehazeformer-b.pth")
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"x")
    args = eval_arguments("--model dehazeformer-b --dataset RESIDE-IN --exp indoor")
    assert (args.model, args.weights, args.data) == ("dehazeformer_b", weights, Path("data/RESIDE-IN"))
    assert (args.out, args.dataset, args.protocol) == (
        Path("results/RESIDE-IN/dehazeformer-b"),
        "reside_in",
        "dehazeformer",
    )
    with pytest.raises(MindRestoreError, match=r"no weights at saved_models/nid/scaleupdehazing\.pth"):
        eval_arguments("--exp nid")
    for name in ("crossdehaze_nid", "crossdehaze_nid_stage2"):
        (Path("saved_models") / name).mkdir()
        (Path("saved_models") / name / "recipe.yaml").write_text("{}")
        args = eval_arguments("--exp nid --dataset Mine --data_dir /d")
        assert (args.run_folder, args.model, args.weights) == (Path("saved_models") / name, None, None)
    assert (args.data, args.dataset) == (Path("/d/Mine"), "auto")


def test_results_file_as_published(golden_dir, tmp_path):
    golden = np.load(golden_dir / "crossdehaze.npz")
    scores = [{"psnr": psnr, "ssim": ssim} for psnr, ssim in zip(golden["metric.psnr"], golden["metric.ssim"])]
    rows = tuple(Measurement(f"{i}.png", str(i), 64, 80, 0.1, score, score) for i, score in enumerate(scores))
    path = write_published(Evaluation(get_protocol("dehazeformer"), rows, ()), tmp_path)
    assert path.read_text().splitlines() == golden["metric.csv_lines"].tolist()
    assert path.name.replace("_", " | ") == str(golden["metric.csv_name"])
    assert write_published(Evaluation(get_protocol("rgb"), rows, ()), tmp_path) is None
