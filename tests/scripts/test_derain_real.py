"""The script that trains on real photographs, with four small ones and two steps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mindrestore.images.write import write_image

ROOT = Path(__file__).resolve().parents[2]
TINY = "model.hyper={n_feat: 8, scale_unetfeats: 4, scale_orsnetfeats: 4, num_cab: 1}"


@pytest.mark.slow
def test_it_goes_from_photographs_to_two_reports(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("rain_train/input", "rain_train/target", "bsds500_clean/target"):
        for name in ("1", "2"):
            write_image(made(tmp_path / "data" / folder) / f"{name}.jpg", rng.random((48, 56, 3), np.float32))
    for folder in ("rain100l", "rain100h"):
        for side in ("input", "target"):
            write_image(made(tmp_path / "data" / folder / side) / "3.png", rng.random((40, 48, 3), np.float32))
    out = tmp_path / "out"
    command = ["bash", str(ROOT / "benchmarks" / "derain_real.sh"), str(tmp_path / "data"), str(out)]
    overrides = [TINY, "data.patch_size=32", "train.max_steps=2", "train.val_every=0"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = subprocess.run([*command, *overrides], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    train = out / "pairs" / "train"
    assert len(list((train / "input").iterdir())) == 2 * 4 + 2 * 5  # four kinds of rain, five links
    assert len(list((train / "target").iterdir())) == 4
    for name in ("rain100l", "rain100h"):
        assert len((out / f"report_{name}" / "scores.csv").read_text().splitlines()) >= 2


def made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
