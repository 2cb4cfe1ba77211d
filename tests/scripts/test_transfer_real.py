"""The script that compares training from VGG with training from scratch, with small photographs and one step each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mindrestore.images.write import write_image
from mindrestore.models.specs.vgg import last_tap
from mindrestore.models.vgg import VGGFeatures
from mindrestore.weights.convert import save_weights

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_it_goes_from_photographs_to_four_reports(tmp_path):
    rng = np.random.default_rng(0)
    for folder, count, suffix in (("ihaze_small", 5, "jpg"), ("nh_haze_half", 2, "png")):
        for side in ("hazy", "clear"):
            for i in range(count):
                image = rng.random((64, 70, 3), np.float32)
                write_image(made(tmp_path / "data" / folder / side) / f"{i + 1:02d}.{suffix}", image)
    vgg, out = tmp_path / "vgg16.npz", tmp_path / "out"
    save_weights(VGGFeatures("vgg16", (last_tap("vgg16"),)), vgg)
    command = ["bash", str(ROOT / "benchmarks" / "transfer_real.sh"), str(tmp_path / "data"), str(vgg), str(out)]
    overrides = ["train.max_steps=1", "train.mode=pynative", "train.log_every=1", "data.workers=1"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = subprocess.run([*command, *overrides], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    names = {folder: sorted(os.listdir(out / "pairs" / "all" / folder)) for folder in ("trainA", "trainB", "testA")}
    assert names["testA"] == ["ihaze_small-04.jpg", "nh_haze_half-02.png"]
    assert names["trainA"] == names["trainB"]
    assert len(names["trainA"]) == 5
    logs = {start: (out / start / "log.txt").read_text() for start in ("vgg", "scratch")}
    assert "encoder: vgg16 from" in logs["vgg"]
    assert "NO TRANSFER LEARNING" in logs["scratch"]
    for start in logs:
        for folder in ("ihaze_small", "nh_haze_half"):
            assert (out / f"report_{start}_{folder}" / "scores.json").is_file()


def made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
