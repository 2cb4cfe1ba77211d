"""One training owns a run folder: the second is refused by name, and death releases."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from mindrestore.engine import lock
from mindrestore.engine.lock import NAME, RunLock
from mindrestore.engine.outcome import CheckpointError

HERE = socket.gethostname()
_HOLD = "import sys, time; from pathlib import Path; from mindrestore.engine.lock import RunLock\n"
_HOLD += "with RunLock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.05)
    monkeypatch.setattr(lock, "PATIENCE", 0.4)


def enter(folder, say=print):
    with RunLock(folder, say):
        return (folder / NAME).read_text().split()


def test_a_second_training_is_refused_until_the_first_dies(tmp_path):
    """A real process holds the folder; SIGKILL releases it."""
    from mindrestore.cli.main import main

    folder = tmp_path / "run"
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(CheckpointError) as caught:
        enter(folder)
    message = str(caught.value)
    assert message.startswith(f"run folder {folder} is in use: process {holder.pid} has been training into it since 20")
    assert message.endswith(f"stop it (`kill {holder.pid}`), or choose another --run-dir or output.name")
    assert "\n" not in message
    words = ["train", "--recipe", "quickstart", "data.root=nowhere", "--run-dir", str(folder)]
    before = sorted(path.name for path in folder.iterdir())
    assert main(words) == 2
    assert sorted(path.name for path in folder.iterdir()) == before == [NAME]
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert enter(folder)[:2] == [str(os.getpid()), HERE]
    assert list(folder.iterdir()) == []


def test_a_folder_is_removed_when_nothing_was_written(tmp_path):
    assert enter(tmp_path / "runs" / "first")[:2] == [str(os.getpid()), HERE]
    assert list(tmp_path.iterdir()) == []
    with RunLock(tmp_path / "runs"):
        (tmp_path / "runs" / "last.ckpt").touch()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["last.ckpt"]


def test_another_machine_is_refused_while_its_file_is_touched(tmp_path, monkeypatch):
    """As on a file system whose locks one machine keeps for itself."""
    said = []
    monkeypatch.setattr(lock, "_lock", lambda file: True)
    with RunLock(tmp_path):
        words = (tmp_path / NAME).read_text().split()
        (tmp_path / NAME).write_text(f"{words[0]} elsewhere {words[2]}\n")
        with pytest.raises(CheckpointError, match=rf"process {os.getpid()} on machine elsewhere.*stop it \(there\)"):
            enter(tmp_path, said.append)
    assert said == [
        f"{tmp_path / NAME} was left by machine elsewhere; watching for 0.4 s whether it still trains there"
    ]


def test_what_another_machine_left_is_taken_over(tmp_path):
    (tmp_path / NAME).write_text("7 elsewhere 2026-01-01T00:00:00\n")
    began, said = time.monotonic(), []
    assert enter(tmp_path, said.append)[:2] == [str(os.getpid()), HERE]
    assert len(said) == 1
    assert time.monotonic() - began >= 0.4


def test_without_locks_of_the_system_the_process_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_lock", lambda file: None)
    (tmp_path / NAME).write_text(f"{os.getppid()} {HERE} 2026-01-01T00:00:00\n")
    with pytest.raises(CheckpointError, match=f"in use: process {os.getppid()} has been training"):
        enter(tmp_path)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / NAME).write_text(f"{gone.pid} {HERE} 2026-01-01T00:00:00\n")
    assert enter(tmp_path)[0] == str(os.getpid())


def test_what_a_killed_writer_left_is_removed(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = [f".ema.{gone.pid}.tmp", f".best.{gone.pid}.7.ckpt", f".epoch_3_28.5.{gone.pid}.7.tmp"]
    kept = ["best.ckpt", ".mine.tmp", f".model.mindir.{os.getpid()}.7.tmp"]  # the last is being written
    for name in (*left, *kept):
        (tmp_path / name).touch()
    enter(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"file/run cannot be written \(Not a directory\); choose another output"):
        enter(tmp_path / "file" / "run")
