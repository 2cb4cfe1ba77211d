"""A run that is killed with SIGKILL, whenever it is, ends with the bits of a run that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_run import main as train

from mindrestore.engine.state import read_state

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
TIMING = ("seconds", "images_per_second", "data_share")


def start(folder, mode, death=""):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), str(HERE)])}
    command = [sys.executable, str(HERE / "tiny_run.py"), str(folder), mode, *([death] if death else [])]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def die(folder, death):
    process = start(folder, "pynative", death)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == -signal.SIGKILL, output


def kill_at_random(folder, mode, rng):
    """Kill from outside, some time after the first records appeared."""
    process = start(folder, mode)
    metrics = folder / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.is_file() and metrics.read_text()):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    time.sleep(float(rng.uniform(0.0, 0.5)))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode


def numbers(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMING} for line in lines]


def assert_same_run(folder, reference):
    assert numbers(folder) == numbers(reference)
    ours, theirs = read_state(folder / "last.ckpt"), read_state(reference / "last.ckpt")
    assert ours.facts == theirs.facts
    assert ours.arrays.keys() == theirs.arrays.keys()
    for name, array in theirs.arrays.items():
        assert np.array_equal(ours.arrays[name], array), name


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Uninterrupted runs, by mode."""
    folders = {}

    def run(mode):
        if mode not in folders:
            folders[mode] = tmp_path_factory.mktemp("reference") / mode
            train(folders[mode], mode)
        return folders[mode]

    return run


def test_reference_run_has_seen_everything(reference):
    lines = numbers(reference("pynative"))
    train = [line for line in lines if line["kind"] == "train"]
    assert [line["step"] for line in train] == [*range(3, 25, 3)]
    assert sum(line["skipped"] for line in train) >= 3  # overflows at first, and the poisoned batch
    assert len({line["scale"] for line in train}) > 1
    assert all(line["grad_norm"] > 0 for line in train)
    validated = [line["step"] for line in lines if line["kind"] == "validation"]
    assert validated == [4, 7, 11, 14, 18, 21, 24]


@pytest.mark.parametrize("mode", ["pynative", pytest.param("graph", marks=pytest.mark.slow)])
def test_kill_at_any_time_then_resume(mode, reference, tmp_path):
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed", seed)  # shown when the test fails
    kill_at_random(tmp_path, mode, np.random.default_rng(seed))
    train(tmp_path, mode)
    assert_same_run(tmp_path, reference(mode))


def test_kill_while_a_checkpoint_is_written_then_resume(reference, tmp_path):
    die(tmp_path, "write")
    assert (tmp_path / "last.new.ckpt").exists()
    die(tmp_path, "rename")
    assert not (tmp_path / "last.ckpt").exists()
    train(tmp_path, "pynative")
    assert_same_run(tmp_path, reference("pynative"))
    assert not (tmp_path / "last.new.ckpt").exists()
