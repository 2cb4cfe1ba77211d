"""The boot file of ModelArts: what it starts, and what the job may install."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = ["--recipe", "quickstart", "--modelarts_mode", "--data_url", "obs://b/data", "--train_url", "obs://b/out"]


@pytest.fixture
def start():
    spec = importlib.util.spec_from_file_location("modelarts_start", ROOT / "scripts" / "modelarts_start.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_one_node_takes_its_cards(start):
    words = start.command_line({"MA_NUM_GPUS": "8", "MA_NUM_HOSTS": "1", "MA_LOG_DIR": "/logs"}, ARGUMENTS)
    expected = ["launch", "--device", "Ascend", "--max-restarts", "3", "--device-num", "8", "--log-dir", "/logs", "--"]
    assert words == [*expected, "train", *ARGUMENTS]


def test_several_nodes_find_the_first(start):
    job = {"MA_NUM_HOSTS": "2", "VC_TASK_INDEX": "1", "VC_WORKER_HOSTS": "w-0.job,w-1.job", "MA_NUM_GPUS": "4"}
    words = start.command_line(job, [])
    assert words[words.index("--node-num") :][:6] == [
        "--node-num", "2", "--node-rank", "1", "--master-addr", "w-0.job",
    ]  # fmt: skip


def test_several_nodes_that_cannot_find_the_first_are_told(start):
    with pytest.raises(SystemExit, match="a job of 2 nodes needs VC_TASK_INDEX and VC_WORKER_HOSTS"):
        start.command_line({"MA_NUM_HOSTS": "2"}, [])


def test_the_boot_file_runs_from_a_folder_without_installation(tmp_path):
    """Show what it starts, on CPU: `--dry-run` of the launcher, by a place before the `--`."""
    code = (
        "import runpy, sys; import mindrestore.cli.main as m; main = m.main;"
        "m.main = lambda words: main([*words[:1], '--dry-run', *words[1:]]);"
        "sys.argv[1:] = ['--recipe', 'quickstart']; runpy.run_path(sys.argv[0], run_name='__main__')"
    ).replace("sys.argv[0]", repr(str(ROOT / "scripts" / "modelarts_start.py")))
    environment = {**os.environ, "MINDRESTORE_DEVICE": "CPU", "MA_NUM_GPUS": "2", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "--worker_num=2" in done.stdout
    assert "-m mindrestore train --recipe quickstart" in done.stdout


def test_modelarts_installs_nothing_that_touches_its_mindspore():
    lines = (ROOT / "pip-requirements.txt").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if re.match(r"(mindspore|numpy)\W", line)]
