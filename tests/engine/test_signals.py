"""Signals: a polite request first, an end within two seconds then, also where Python hears nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mindrestore.engine import attendant
from mindrestore.engine.signals import COMPILING, VALIDATING, StopRequest, break_off

SOURCE = Path(__file__).parents[2] / "src"


def start(work):
    """Start the process that hears nothing; return it with its scratch folder."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("waiting.py")), str(work)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    return process, Path(process.stdout.readline().strip())


def test_a_process_that_hears_nothing_is_spoken_for_and_ended():
    """Lines appear at once and after two seconds; the second signal ends it within two; nothing is left."""
    process, scratch = start(COMPILING)
    began = time.monotonic()
    assert process.stderr.readline() == "compiling the training step: 2 s so far\n"
    assert 1.5 < time.monotonic() - began < 4
    process.send_signal(signal.SIGTERM)
    line = process.stderr.readline()
    assert line == "stopping as soon as the graph is compiled; a second signal stops at once, without saving\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "stopping at once; the last saved state is kept\n"
    assert process.wait(timeout=10) == -signal.SIGKILL
    assert time.monotonic() - began < 2
    assert process.stderr.read() == ""
    assert not scratch.exists()


def test_the_attendant_cleans_up_after_a_kill():
    process, scratch = start(VALIDATING)
    assert scratch.is_dir()
    process.kill()
    assert process.stderr.read() == ""  # ends when the attendant does
    assert not scratch.exists()


def test_a_second_signal_is_an_interrupt_outside_of_the_compiler(capfd):
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            break_off()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    break_off()  # nobody is asked to stop any more
    assert signal.set_wakeup_fd(-1) == -1
    printed = capfd.readouterr().err.splitlines()
    assert printed == [
        "stopping as soon as the step in progress ends; a second signal stops at once, without saving",
        "stopping at once; the last saved state is kept",
    ]


def test_other_ranks_and_other_threads_print_nothing(capfd):
    with StopRequest(shows=False) as stop:
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.requested
    thread = threading.Thread(target=StopRequest().__enter__)
    thread.start()
    thread.join()
    assert capfd.readouterr().err == ""


def test_lines_come_after_two_seconds_and_then_every_ten(monkeypatch):
    now, said = 100.0, []
    monkeypatch.setattr(attendant.time, "monotonic", lambda: now)
    other = attendant.Attendant(1, True, "", [("compiling", "it is compiled")])
    monkeypatch.setattr(other, "say", said.append)
    other.take(attendant.BEGIN)
    for now in (101.0, 102.0, 103.0, 111.0, 112.5, 122.5):
        other.look(now)
    assert said == ["compiling: 2 s so far", "compiling: 12 s so far", "compiling: 22 s so far"]
    other.take(attendant.IDLE)
    other.look(200.0)
    assert len(said) == 3
