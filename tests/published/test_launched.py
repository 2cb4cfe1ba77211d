"""What the launchers evaluate: the test set and the protocol of their recipe, whatever names the weights."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from mindrestore.cli.main import main
from mindrestore.images.write import write_image
from mindrestore.weights.convert import save_weights
from small import SMALL, overrides_of, small


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Return the tree of the model zoo, with two test sets, and a folder of checkpoints."""
    root, rng = tmp_path_factory.mktemp("zoo"), np.random.default_rng(0)
    for name in ("Dense", "NHHaze"):
        for file in ("hazy/46_hazy.png", "GT/46_GT.png", "hazy/47_hazy.png", "GT/47_GT.png"):
            write_image(root / "dataset" / name / file, rng.integers(0, 256, (32, 40, 3), np.uint8))
    run = root / "ckpt" / "first"
    run.mkdir(parents=True)
    recipe = {"model": {"name": "aecrnet", "hyper": SMALL["aecrnet"]}, "train": {"max_steps": 1}}
    (run / "recipe.yaml").write_text(json.dumps(recipe))
    save_weights(small("aecrnet"), run / "best.ckpt")
    (root / "ckpt" / "old.ckpt").write_bytes(b"not read")
    os.utime(root / "ckpt" / "old.ckpt", (1, 1))
    return root


def test_a_folder_of_checkpoints_and_the_whole_tree(zoo, tmp_path, capsys):
    words = ["--recipe", "aecrnet/zoo_its", "--weights", str(zoo / "ckpt"), "--data", str(zoo / "dataset")]
    assert main(["eval", *words, "--out", str(tmp_path), "--device", "CPU"]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["protocol"]["name"] == "aecr-zoo"
    assert scores["settings"]["data"].endswith("dataset/Dense/hazy")
    out = capsys.readouterr().out
    assert f"weights: {zoo / 'ckpt' / 'first' / 'best.ckpt'}, the newest below {zoo / 'ckpt'}" in out


def test_the_launcher_gives_the_score_of_the_last_validation(zoo, tiny_data, tmp_path):
    """The published launchers train and evaluate with one protocol, so that the same weights have one score."""
    run = tmp_path / "run"
    words = [f"data.root={tiny_data}", "data.dataset=auto", f"data.val_root={zoo / 'dataset'}", "data.patch_size=32"]
    words += [*overrides_of("aecrnet"), "loss.terms.contrastive=null", "data.workers=1"]
    words += [
        "train.batch_size=1",
        "train.max_steps=1",
        "train.val_unit=step",
        "train.val_every=1",
        "train.mode=pynative",
    ]
    assert main(["train", "--recipe", "aecrnet/zoo_its", *words, "--run-dir", str(run), "--device", "CPU"]) == 0
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    (validated,) = [line["scores"] for line in lines if line["kind"] == "validation"]
    # what scripts/run_eval_cpu.sh runs (tests/scripts/test_launchers.py)
    words = ["--weights", str(run / "best.ckpt"), "--data", str(zoo / "dataset"), "--device", "CPU"]
    assert main(["eval", "--recipe", "aecrnet/zoo_its", *words, "--out", str(tmp_path / "report")]) == 0
    scores = json.loads((tmp_path / "report" / "scores.json").read_text())
    assert scores["protocol"]["name"] == "aecr-zoo"
    restored = scores["means"]["restored"]
    assert restored["psnr"] == pytest.approx(validated["psnr"], abs=1e-3)
    assert restored["ssim"] == pytest.approx(validated["ssim"], abs=1e-4)
    # another protocol gives another number, so that equal scores say something
    words[3] = str(zoo / "dataset" / "Dense")
    assert main(["eval", *words, "--model", "aecrnet", "--protocol", "aecr", "--out", str(tmp_path / "aecr")]) == 0
    other = json.loads((tmp_path / "aecr" / "scores.json").read_text())["means"]["restored"]
    assert abs(other["psnr"] - restored["psnr"]) > 0.5
