"""The script that compares training with and without data for research, with small images and one step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mindrestore.images.write import write_image

ROOT = Path(__file__).resolve().parents[2]
HAZE = ("sots_indoor", "sots_outdoor", "reside6k_outdoor", "ihaze_small", "nh_haze_half", "ntire26_night_half")


@pytest.fixture
def folders(tmp_path):
    """Make small test sets and research data, and a set as scripts/release_data.py does; images of 40x48 pixels."""
    rng, data, release = np.random.default_rng(0), tmp_path / "data", tmp_path / "release"

    def write(*places: Path) -> None:
        for place in places:
            write_image(place / "1.png", rng.random((40, 48, 3), np.float32))

    write(data / "bsds500_clean" / "target", data / "cbsd68" / "target", data / "kodak24" / "target")
    write(data / "real_hazy" / "hazy", *(data / name / side for name in HAZE for side in ("hazy", "clear")))
    write(*(data / name / side for name in ("rain_train", "rain100l", "rain100h") for side in ("input", "target")))
    write(*(release / "haze" / split / side for split in ("train", "test") for side in ("hazy", "clear")))
    write(*(release / "rain" / split / side for split in ("train", "test") for side in ("input", "target")))
    write(release / "plain" / "hazy", release / "plain" / "clear")
    write(release / "noise" / "train", release / "noise" / "test")
    (release / "noise" / "train.csv").write_text("train/1.png,train/1.png\n")
    return data, release


@pytest.mark.slow
def test_each_task_is_trained_and_measured_with_and_without(folders, tmp_path):
    out = tmp_path / "out"
    command = ["bash", str(ROOT / "benchmarks" / "research_real.sh"), *map(str, folders), str(out)]
    overrides = [
        "train.max_steps=1",
        "train.val_every=0",
        "train.batch_size=1",
        "data.patch_size=32",
        "train.mode=pynative",
    ]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = subprocess.run([*command, *overrides], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert len(list((out / "pairs" / "bsds_plain" / "hazy").iterdir())) == 4
    lists = [(out / "pairs" / "noise" / f"{kind}.csv").read_text().splitlines() for kind in ("free", "mixed")]
    assert lists == [["train/1.png,train/1.png"], ["train/1.png,train/1.png", *["bsds/1.png,bsds/1.png"] * 3]]
    for task, sets in (("dehaze", 6), ("denoise", 6), ("derain", 2)):
        for kind in ("mixed", "free"):
            rows = json.loads((out / f"scores_{task}_{kind}" / "quality.json").read_text())["rows"]
            measured = {row["set"] for row in rows if row["weights"] == f"{task}_{kind}"}
            assert len(measured) == sets, (task, kind, measured)
