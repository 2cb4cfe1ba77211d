"""The scripts at the root of a plain clone, and `python -m mindrestore`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(command, cwd, **settings):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**environment, **settings})


@pytest.mark.parametrize(
    ("script", "command"),
    [("train.py", "train"), ("eval.py", "eval"), ("export.py", "export"), ("haze_data.py", "data")],
)
def test_a_plain_clone_runs_from_anywhere(script, command, tmp_path):
    clone = tmp_path / "clone"
    clone.mkdir()
    shutil.copy(ROOT / script, clone)
    (clone / "src").symlink_to(ROOT / "src")
    done = run([sys.executable, str(clone / script), "--help"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: mindrestore {command} ")


def test_the_module_is_the_command(tmp_path):
    done = run([sys.executable, "-m", "mindrestore", "--version"], tmp_path, PYTHONPATH=str(ROOT / "src"))
    assert done.stdout.startswith("mindrestore 0.")


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    command = f"{sys.executable} -m mindrestore recipes quickstart | true; echo ${{PIPESTATUS[0]}}"
    done = run(["bash", "-c", command], tmp_path, PYTHONPATH=str(ROOT / "src"))
    assert (done.stdout, done.stderr) == ("0\n", "")
