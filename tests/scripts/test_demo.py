"""The demo script, small: its steps, its floor for the gain, and a second run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OVERRIDES = "train.max_steps=4 train.batch_size=2 data.patch_size=32 train.mode=pynative"
ALL = "train.max_steps=4 train.progressive.patch_sizes=[16,24] train.val_every=0 train.mode=pynative"
CROSS = f"{OVERRIDES.replace('steps=4', 'steps=2')} then.train.max_steps=2 then.train.val_every=2"


def demo(kind: str, out: Path, least_gain: int) -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "VIRTUAL_ENV": sys.prefix,
        "PYTHONPATH": str(ROOT / "src"),
        "MINDRESTORE_SKIP_INSTALL": "1",
        "DEMO_OUT": str(out),
        "DEMO_SCENES": "4",
        "DEMO_TEST_SCENES": "1",
        "DEMO_LEAST_GAIN": str(least_gain),
        "DEMO_OVERRIDES": {"all": ALL, "cross": CROSS}.get(kind, OVERRIDES),
    }
    command = ["bash", str(ROOT / "scripts" / "demo.sh"), kind]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["haze", "rain"])
def test_the_demo_goes_from_nothing_to_a_mindir_file_and_can_be_repeated(kind, tmp_path):
    out = tmp_path / "my demo"
    first = demo(kind, out, least_gain=-100)
    assert first.returncode == 0, first.stderr
    assert "PSNR on unseen scenes: input" in first.stdout
    for name in ("best.ckpt", "model.mindir", "report/scores.csv", "report/scores.json"):
        assert (out / name).is_file(), name
    assert len(list((out / "report" / "pictures").glob("*.png"))) == 1
    assert len(list((out / "restored").glob("*.png"))) == 1
    again = demo(kind, out, least_gain=100)
    assert again.returncode != 0
    assert "error: the gain is below 100" in again.stderr
    assert "keeping the train scenes" in again.stdout


@pytest.mark.slow
def test_the_demo_measures_every_task_of_an_all_in_one_network(tmp_path):
    result = demo("all", tmp_path, least_gain=-100)
    assert result.returncode == 0, result.stderr
    for name in ("noise-25", "rain", "haze"):
        assert f"PSNR on {name}: input" in result.stdout
        assert len(list((tmp_path / "report" / name / "pictures").glob("*.png"))) == 1
    assert (tmp_path / "model.mindir").is_file()
    assert len(list((tmp_path / "restored").glob("*.png"))) == 1
    assert "average of 3 tasks" in (tmp_path / "report" / "summary.txt").read_text()


@pytest.mark.slow
def test_the_demo_of_two_stages_looks_at_the_second(tmp_path):
    result = demo("cross", tmp_path / "cross", least_gain=-100)
    assert result.returncode == 0, result.stderr
    assert "PSNR on unseen scenes: input" in result.stdout
    for run in ("cross", "cross_stage2"):
        assert (tmp_path / run / "best.ckpt").is_file(), run
    for name in ("model.mindir", "report/index.html", "restored"):
        assert (tmp_path / "cross_stage2" / name).exists(), name
        assert not (tmp_path / "cross" / name).exists(), name
    assert "consistency" in (tmp_path / "cross_stage2" / "log.txt").read_text()


def test_an_unknown_kind_is_named(tmp_path):
    result = demo("snow", tmp_path / "out", least_gain=0)
    assert result.returncode != 0
    assert "unknown kind snow; use haze, rain, all or cross" in result.stderr
    assert not (tmp_path / "out").exists()
