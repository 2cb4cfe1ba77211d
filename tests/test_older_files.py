"""A run folder and weight files that an earlier state of the project wrote still resume, restore and evaluate.

`golden/older_run` comes from the commit 93cb115 and MindSpore 2.8.0: two steps of `quickstart` with two channels on the
data of `tiny_data`. The numbers below are what that commit made of the same files.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mindrestore import Restorer
from mindrestore.cli.main import main
from mindrestore.engine.state import read_state
from mindrestore.images.read import read_image
from mindrestore.inference.trained import Trained
from mindrestore.recipes.load import load_recipe
from mindrestore.weights.files import read_weights

OLDER = Path(__file__).parent / "golden" / "older_run"
NUMBERS = {"loss": [0.42250314, 0.43146393], "grad_norm": [0.9545550, 0.9869459], "lr": [4.5e-4, 6e-4]}  # steps 3, 4
SCORES = [  # psnr, psnr_input, ssim, ssim_input of both test images
    (7.261588, 12.895418, 0.074799, 0.758997),
    (8.383330, 13.547448, 0.076844, 0.788507),
]


@pytest.fixture
def run(tmp_path) -> Path:
    return Path(shutil.copytree(OLDER, tmp_path / "run"))


def test_the_run_goes_on(run, tiny_data, capsys):
    words = [f"data.root={tiny_data}", "train.max_steps=4", "train.mode=pynative", "train.val_every=0"]
    assert main(["train", "--run-dir", str(run), *words]) == 0
    assert "resuming after step 2" in capsys.readouterr().out
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "train" and line["step"] > 2]
    for name, expected in NUMBERS.items():
        assert [line[name] for line in steps] == pytest.approx(expected, rel=1e-4), name
    assert read_state(run / "last.ckpt").facts["step"] == 4


def test_the_run_is_evaluated(run, tiny_data, tmp_path):
    words = ["--data", str(tiny_data), "--split", "test", "--device", "CPU", "--out", str(tmp_path / "report")]
    assert main(["eval", str(run), *words]) == 0
    with (tmp_path / "report" / "scores.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["protocol"] for row in rows} == {"aecr"}
    for row, expected in zip(rows, SCORES):
        found = [float(row[name]) for name in ("psnr", "psnr_input", "ssim", "ssim_input")]
        assert found == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("name", ["best.ckpt", "weights.npz"])
def test_weight_files_restore_as_then(run, tiny_data, name):
    trained = Trained.of_run(run) if name == "best.ckpt" else Trained.of_file("aecrnet", run / name)
    restored = Restorer(trained, device="CPU")(read_image(tiny_data / "test" / "hazy" / "0.png"))
    assert np.abs(restored.astype(int) - read_image(OLDER / "restored.png")).max() <= 1


def test_weight_files_hold_the_same_values():
    arrays = read_weights(OLDER / "best.ckpt")
    assert (len(arrays), sum(array.size for array in arrays.values())) == (34, 5_932)
    others = read_weights(OLDER / "weights.npz")
    assert others.keys() == arrays.keys()
    assert all(np.array_equal(others[key].ravel(), arrays[key].ravel()) for key in arrays)


def test_the_recipe_is_read(run):
    recipe = load_recipe(run)
    assert (recipe.name, recipe.model.name, dict(recipe.model.hyper)["channels"]) == ("quickstart", "aecrnet", 2)
    assert (recipe.loss.terms["l1"].weight, recipe.loss.terms["contrastive"].weight) == (1.0, 0.0)
    assert (recipe.optim.lr, recipe.schedule.warmup, recipe.train.max_steps) == (3e-3, 20, 2)
