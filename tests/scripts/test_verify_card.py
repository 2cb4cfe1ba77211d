"""The check of a card, on the CPU: what becomes of steps that fail or come too late; slow: all steps, small."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import verify_parity  # noqa: E402


def verify(out, **settings):
    own = {"PYTHON": sys.executable, "VIRTUAL_ENV": sys.prefix, "MINDRESTORE_DEVICE": "CPU", "VERIFY_PATIENCE": "4"}
    command = ["bash", str(ROOT / "scripts" / "verify_card.sh"), str(out)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=out.parent, env={**os.environ, **own, **settings}
    )


def test_help(tmp_path):
    done = subprocess.run(["bash", str(ROOT / "scripts" / "verify_card.sh"), "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("Check a card: what to run first where there is one, ten minutes, unattended.")


def test_every_network_with_a_golden_file_is_compared():
    stems = {path.stem for path in (ROOT / "tests" / "golden").glob("*.npz")}
    assert {file for file, _, _ in verify_parity.CASES.values()} <= stems
    for file, image, target in verify_parity.CASES.values():
        with np.load(ROOT / "tests" / "golden" / f"{file}.npz") as golden:
            assert golden[target].ndim == 4
            assert image is None or golden[image].ndim == 4


@pytest.mark.parametrize(("difference", "code"), [(1e-6, 0), (0.1, 1), (float("nan"), 1)])
def test_a_difference_above_the_limit_is_a_failure(difference, code, monkeypatch, capsys):
    row = {"network": "dsrir", "difference": difference, "first_s": 1, "second_s": 1}
    monkeypatch.setattr(verify_parity, "measure", lambda name: row)
    monkeypatch.setattr(sys, "argv", ["verify_parity.py", "--device", "CPU", "--network", "dsrir"])
    assert verify_parity.main() == code
    assert "on CPU, limit 5e-03" in capsys.readouterr().out


NAMES = ("golden parity", "scenes", "haze", "train plain", "train overflow", "two cards", "export", "restore")


def results(page):
    """Return the result of every step: ok, failed or left out."""
    return dict(re.findall(r"^\| ([a-z ]+) \| ((?:ok|failed|left out)[^|]*) \|", page, re.M))


@pytest.mark.parametrize(
    ("patience", "expected"),
    [
        ("1", {**dict.fromkeys(NAMES, "ok"), "export": "failed (3)"}),
        ("0", dict.fromkeys(NAMES, "left out")),  # the time is over before the first
    ],
)
def test_a_step_that_fails_stops_no_other_and_none_begins_too_late(tmp_path, patience, expected):
    python = tmp_path / "python"  # every program succeeds at once, but one
    python.write_text('#!/bin/sh\ncase "$*" in *" export "*) echo no disk; exit 3;; esac\n')
    python.chmod(0o755)
    done = verify(tmp_path / "verify", PYTHON=str(python), VERIFY_PATIENCE=patience, VERIFY_CARDS="2")
    assert done.returncode == 1
    assert results((tmp_path / "verify" / "report.md").read_text(encoding="utf-8")) == expected
    assert ("| export | failed (3) | 0 s | no disk |" in done.stdout) == (patience == "1")  # the page is printed, too


@pytest.mark.slow
def test_all_steps_on_the_cpu(tmp_path):
    settings = {"VERIFY_STEPS": "4", "VERIFY_NETWORKS": "dehazeformer_t mprnet_deraining", "VERIFY_CARDS": "2"}
    settings["VERIFY_OVERRIDES"] = "model.hyper.channels=4 train.batch_size=2 data.patch_size=32"
    done = verify(tmp_path / "verify", **settings)
    page = (tmp_path / "verify" / "report.md").read_text(encoding="utf-8")
    assert done.returncode == 0, page
    assert results(page) == dict.fromkeys(NAMES, "ok")
    rows = [json.loads(line) for line in (tmp_path / "verify" / "parity.jsonl").read_text().splitlines()]
    assert [row["network"] for row in rows] == ["dehazeformer_t", "mprnet_deraining"]
    assert max(row["difference"] for row in rows) < 1e-3
    assert len(list((tmp_path / "verify" / "restored").glob("*.png"))) == 8
