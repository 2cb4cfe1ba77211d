"""Several ranks are one training: equal weights, shared decisions, one writer, and no rank is left behind.

The processes are real ones, started by msrun on this machine's CPU.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from ranks_run import POISONED, train, values_of

from mindrestore.engine import trainer
from mindrestore.engine.state import CheckpointError, read_state
from mindrestore.launch.job import JobError, run_job, run_with_restarts
from mindrestore.launch.plan import Cluster, make_plan

HERE = Path(__file__).parent
FIRST, SECOND, LAST = 4, 8, 12  # steps


@pytest.fixture(autouse=True, scope="module")
def importable():
    """Let workers import the package from the clone, and keep MindSpore's chatter out of their logs."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(HERE.parents[1] / "src"))
    patch.setenv("GLOG_v", "3")
    yield
    patch.undo()


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Train one process with the whole batch: its run folder at the first step, what it had at the later ones."""
    folder = tmp_path_factory.mktemp("reference")
    train(folder / "run", FIRST)
    shutil.copytree(folder / "run", folder / "first")
    later = {step: values_of(train(folder / "run", step)) for step in (SECOND, LAST)}
    return folder, later


def plan_of(folder, world, *arguments):
    logs = folder / f"logs{len(list(folder.glob('logs*')))}"
    logs.mkdir()
    words = [str(HERE / "ranks_run.py"), str(folder), *map(str, arguments)]
    return make_plan(Cluster("CPU", per_node=world), words, logs)


def snapshot(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def losses(folder):
    records = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return {record["step"]: record["loss"] for record in records if record["kind"] == "train"}


def communication_shares(folder):
    """Return the share of every record that has one; some come from a single process."""
    records = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    found = [record["communication_share"] for record in records if "communication_share" in record]
    assert found
    return found


def assert_close(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_ranks_train_as_one(world, reference, tmp_path):
    folder, expected = reference
    for rank in range(world):
        shutil.copytree(folder / "first", tmp_path / f"run{rank}")
    untouched = [snapshot(tmp_path / f"run{rank}") for rank in range(1, world)]
    run_job(plan_of(tmp_path, world, SECOND))

    ranks = [dict(np.load(tmp_path / f"rank{rank}.npz")) for rank in range(world)]
    for other in ranks[1:]:  # weights, moments, averages, loss scale, bit for bit
        assert other.keys() == ranks[0].keys()
        for name, array in ranks[0].items():
            np.testing.assert_array_equal(other[name], array, err_msg=name)
    assert_close(ranks[0], expected[SECOND])
    assert (ranks[0]["updates"], ranks[0]["scale"]) == (SECOND - 1, 512)  # one rank's batch was not finite

    facts = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(world)]
    assert [fact["validations"] for fact in facts] == [2] + [0] * (world - 1)
    assert {(fact["world"], fact["step"]) for fact in facts} == {(world, SECOND)}
    assert [snapshot(tmp_path / f"run{rank}") for rank in range(1, world)] == untouched
    ours, theirs = losses(tmp_path / "run0"), losses(folder / "run")
    assert ours.pop(POISONED + 1) is theirs[POISONED + 1] is None
    assert ours == {step: pytest.approx(theirs[step], rel=1e-5) for step in ours}
    said = (tmp_path / "run0" / "log.txt").read_text()
    assert re.search(r"epoch \d/\d  .* waiting for data \d+%, communication \d+%", said)
    assert all(0 < share < 1 for share in communication_shares(tmp_path / "run0"))

    assert_close(values_of(train(tmp_path / "run0", LAST)), expected[LAST])  # other ranks wrote it


def test_ranks_that_would_begin_at_different_steps_are_told(reference, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "value_of_first", lambda step: step + 3)
    shutil.copytree(reference[0] / "first", tmp_path / "run")
    with pytest.raises(CheckpointError, match=rf"rank 0 finds step {FIRST} in .*, rank 0 step {FIRST + 3}; put output"):
        train(tmp_path / "run", LAST)


@pytest.mark.slow  # tests/launch does it with workers that do not train
def test_a_killed_worker_ends_the_job_and_a_stopped_one_lets_all_save(tmp_path, monkeypatch, capsys):
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("RANKS_RUN_PAUSE", "0.3")
    said, times = [], {}
    killer = threading.Thread(target=kill_when_saved, args=(tmp_path, times))
    killer.start()

    def plan(start):
        times[start] = time.monotonic()
        return plan_of(tmp_path, 2, LAST, *(["1"] if start else []))  # the second time, SIGTERM for rank 1

    with pytest.raises(JobError) as caught:
        run_with_restarts(plan, 2, said.append)
    killer.join()
    assert len(said) == 1
    assert said[0].startswith("worker 1 was ended by SIGKILL, all others were ended; ")
    assert said[0].endswith("starting again (1 of 2)")
    assert times[1] - times["killed"] < 20
    resumed = int(re.search(r"resuming after step (\d+) ", capsys.readouterr().out)[1])
    assert resumed >= 2
    assert caught.value.exit_code == 130
    assert f"stopped at step {resumed + 1} of {LAST}, everything is saved" in str(caught.value)
    assert read_state(tmp_path / "run" / "last.ckpt").facts["progress"]["step"] == resumed + 1


def kill_when_saved(folder, times):
    """Kill the second worker once there is a checkpoint."""
    while not (folder / "run" / "last.ckpt").exists():
        time.sleep(0.05)
    for process in psutil.Process().children(recursive=True):
        environment = process.environ()
        if environment.get("MS_ROLE") == "MS_WORKER" and environment.get("RANK_ID") == "1":
            times["killed"] = time.monotonic()
            os.kill(process.pid, signal.SIGKILL)
            return
