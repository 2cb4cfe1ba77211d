"""The script that trains on clear photographs with noise on the fly, with grey images and four steps."""

from __future__ import annotations

import csv
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mindrestore.images.write import write_image

ROOT = Path(__file__).resolve().parents[2]
OVERRIDES = (
    "model.hyper={width: 8, blocks: 1, groups: 1}",
    "train.progressive={patch_sizes: [16, 24], batch_sizes: [2, 2], epoch_chg: [1, 2]}",
    "train.epochs=2",
    "data.repeat=2",
    "data.workers=1",
)


@pytest.mark.slow
def test_it_goes_from_photographs_to_two_reports_and_curves(tmp_path):
    pytest.importorskip("matplotlib", reason="the curves are drawn with mindrestore[plots]")
    for folder in ("bsds500_clean", "cbsd68", "kodak24"):
        for name in ("1", "2"):
            path = tmp_path / "data" / folder / "target" / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, np.full((64, 72, 3), 0.5, np.float32))
    out = tmp_path / "out"
    command = ["bash", str(ROOT / "benchmarks" / "denoise_real.sh"), str(tmp_path / "data"), str(out)]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = subprocess.run([*command, *OVERRIDES], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    for name in ("cbsd68", "kodak24"):
        with (out / f"report_{name}" / "summary.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for row, sigma in zip(rows[:3], (15, 25, 50), strict=True):
            assert (row["set"], row["images"]) == (f"{name}-{sigma}", "2")
            noisy = 20 * math.log10(255 / sigma)  # but for 8 bits, and clipping at two and a half sigma
            assert float(row["psnr_input"]) == pytest.approx(noisy, abs=0.15)
    assert (out / "steps.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "run" / "log.txt").read_text(encoding="utf-8").count("validation at step") == 2
