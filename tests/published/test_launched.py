"""What the launchers evaluate: the test set and the protocol of their recipe, whatever names the weights."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from mindrestore.cli.main import main
from mindrestore.images.write import write_image
from mindrestore.models.registry import create_model
from mindrestore.weights.convert import save_weights

TINY = {"channels": 4, "blocks": 1}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Return the tree of the model zoo, with two test sets, and a folder of checkpoints."""
    root, rng = tmp_path_factory.mktemp("zoo"), np.random.default_rng(0)
    for name in ("Dense", "NHHaze"):
        for file in ("hazy/46_hazy.png", "GT/46_GT.png", "hazy/47_hazy.png", "GT/47_GT.png"):
            write_image(root / "dataset" / name / file, rng.integers(0, 256, (32, 40, 3), np.uint8))
    run = root / "ckpt" / "first"
    run.mkdir(parents=True)
    recipe = {"model": {"name": "aecrnet", "hyper": TINY}, "train": {"max_steps": 1}}
    (run / "recipe.yaml").write_text(json.dumps(recipe))
    save_weights(create_model("aecrnet", **TINY), run / "best.ckpt")
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
