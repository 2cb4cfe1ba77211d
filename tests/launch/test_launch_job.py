"""Running a job with stand-ins for the workers: what is shown, what is ended, which exit code comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from mindrestore.launch.job import INTERRUPTED, JobError, run_job, run_with_restarts
from mindrestore.launch.plan import LaunchPlan, Start

SLEEP = "import time; print('at work', flush=True); time.sleep(60)"
# Does what msrun does: starts workers in sessions of their own, looks at them now and then, kills the rest.
MANAGER = """
import os, signal, subprocess, sys, time
folder, *programs = sys.argv[1:]
workers = []
for rank, program in enumerate(programs):
    env = {**os.environ, "MS_ROLE": "MS_WORKER", "RANK_ID": str(rank)}
    with open(os.path.join(folder, f"worker_{rank}.log"), "w") as log:
        workers.append(subprocess.Popen([sys.executable, "-c", program], env=env, stdout=log, stderr=log,
                                        start_new_session=True))
wait = [sys.executable, "-c", "import time; time.sleep(60)"]
scheduler = subprocess.Popen(wait, env={**os.environ, "MS_ROLE": "MS_SCHED"})
while True:
    time.sleep(0.3)
    failed = [worker for worker in workers if worker.poll()]
    if failed:
        print(f"Worker process {failed[0].pid} exit with exception. Error code: {failed[0].returncode}.", flush=True)
        for worker in workers:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)
        scheduler.wait()
        sys.exit(1)
    if all(worker.poll() == 0 for worker in workers):
        scheduler.kill()
        sys.exit(0)
"""


@pytest.fixture(autouse=True)
def short_parting(monkeypatch):
    monkeypatch.setattr("mindrestore.launch.job._PARTING", 0.3)


def direct(folder, *programs):
    folder.mkdir(parents=True, exist_ok=True)
    logs = {rank: folder / f"worker_{rank}.log" for rank in range(len(programs))}
    starts = [
        Start(f"worker {rank}", (sys.executable, "-c", program), logs[rank], {"RANK_ID": str(rank)})
        for rank, program in enumerate(programs)
    ]
    return LaunchPlan(tuple(starts), logs, managed=False)


def managed(folder, *programs):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manager.py").write_text(MANAGER)
    logs = {rank: folder / f"worker_{rank}.log" for rank in range(len(programs))}
    command = (sys.executable, str(folder / "manager.py"), str(folder), *programs)
    return LaunchPlan((Start("msrun", command, folder / "msrun.log"),), logs, managed=True)


@pytest.fixture(params=[direct, managed])
def plan(request, tmp_path):
    """Make a plan of stand-ins whose command lines can be told from others."""

    def made(*programs):
        return request.param(tmp_path, *(f"{program}\n# {tmp_path}" for program in programs))

    yield made
    assert left(tmp_path) == []


def left(folder):
    """List processes of a test that still run."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.cmdline())
        except psutil.Error:
            continue
    return found


def failure_of(plan, within=30):
    began = time.monotonic()
    with pytest.raises(JobError) as caught:
        run_job(plan)
    assert time.monotonic() - began < within
    return caught.value


def test_the_log_of_the_leader_is_shown(plan, capsys):
    run_job(plan("import time; print('first'); time.sleep(0.5); print('last')", "print('hidden')"))
    assert capsys.readouterr().out == "first\nlast\n"


LIBRARY = "[ERROR] DISTRIBUTED(812,7f05c1ffb640,python):2026-01-01-10:00:00.000.000 [tcp_client.cc:76] Connect] refused"


def test_log_lines_of_mindspore_stay_in_the_file(plan, capsys):
    """Also when a line is written in two parts; what it says last is named without them."""
    program = (
        "import sys, time; print('[ERROR] is a word of ours'); "
        f"print('{LIBRARY[:30]}', end='', flush=True); time.sleep(0.4); print('{LIBRARY[30:]}'); "
        "print('the end', end='', flush=True); time.sleep(1); sys.exit(3)"
    )
    with pytest.raises(JobError) as caught:
        run_job(plan(program))
    assert capsys.readouterr().out == "[ERROR] is a word of ours\nthe end"
    assert str(caught.value).splitlines()[1:] == ["  | [ERROR] is a word of ours", "  | the end"]


def test_one_that_fails_ends_all(plan):
    slow_death = "import sys, time; print('it is the disk', file=sys.stderr); time.sleep(0.3); sys.exit(7)"
    error = failure_of(plan(SLEEP, slow_death, SLEEP))
    assert error.exit_code == 7
    assert error.curable
    assert str(error).startswith("worker 1 failed with exit code 7, all others were ended; the end of ")
    assert str(error).endswith("worker_1.log:\n  | it is the disk")


def test_a_late_look_names_the_first_too(plan, monkeypatch):
    """On a busy machine the manager has taken notice, and ended the others, before anybody looks here."""
    monkeypatch.setattr("mindrestore.launch.job._POLL", 1.5)  # looks at 1.5 and 3 s
    error = failure_of(plan(SLEEP, "import sys, time; time.sleep(2); sys.exit(7)"))
    assert error.exit_code == 7
    assert str(error).startswith("worker 1 failed with exit code 7, ")


def test_the_first_that_fails_is_named_not_its_victims(plan):
    victim = "import sys, time; time.sleep(0.5); sys.exit(1)"  # the others notice that their peer is gone
    error = failure_of(plan(victim, "import os, time; time.sleep(0.3); os.kill(os.getpid(), 9)", victim))
    assert error.exit_code == 128 + signal.SIGKILL
    assert str(error).startswith("worker 1 was ended by SIGKILL, ")


def test_only_the_last_lines_are_shown(plan):
    error = failure_of(plan("import sys, time; print(*range(100), sep='\\n'); time.sleep(0.3); sys.exit(3)"))
    assert [line[4:] for line in str(error).splitlines()[1:]] == [*map(str, range(88, 100))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_the_workers_save(plan, tmp_path, number, heard):
    save = f"""
import signal, sys, time, pathlib
def save(*_):
    time.sleep(0.2)
    pathlib.Path({str(tmp_path)!r}, f"saved-{{sys.argv}}").touch()
    sys.exit(130)
signal.signal(signal.SIGTERM, save)
pathlib.Path({str(tmp_path)!r}, "ready").touch()
time.sleep(60)
"""
    timer = threading.Thread(target=send_when, args=(tmp_path / "ready", number))
    timer.start()
    error = failure_of(plan(save))
    timer.join()
    assert (error.exit_code, error.curable) == (INTERRUPTED, False)
    assert "continue from the last checkpoint" in str(error)
    assert len(list(tmp_path.glob("saved-*"))) == 1


def send_when(path, number):
    while not path.exists():
        time.sleep(0.05)
    time.sleep(0.3)
    os.kill(os.getpid(), number)


def test_mpirun_is_asked_to_pass_the_signal_on(tmp_path):
    code = f"""
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(tmp_path)!r}, "asked").touch(), sys.exit(130)))
pathlib.Path({str(tmp_path)!r}, "ready").touch()
time.sleep(60)
"""
    start = Start("mpirun", (sys.executable, "-c", code), tmp_path / "mpirun.log")
    timer = threading.Thread(target=send_when, args=(tmp_path / "ready", signal.SIGTERM))
    timer.start()
    assert failure_of(LaunchPlan((start,), {0: start.log}, managed=True)).exit_code == INTERRUPTED
    timer.join()
    assert (tmp_path / "asked").exists()


def test_a_second_signal_does_not_wait(plan, tmp_path, heard):
    stubborn = f"""
import signal, time, pathlib
signal.signal(signal.SIGTERM, lambda *_: None)
pathlib.Path({str(tmp_path)!r}, "ready").touch()
time.sleep(60)
"""

    def twice():
        send_when(tmp_path / "ready", signal.SIGINT)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Thread(target=twice)
    timer.start()
    assert failure_of(plan(stubborn)).exit_code == INTERRUPTED
    timer.join()


def test_signals_are_given_back(plan):
    before = signal.getsignal(signal.SIGTERM)
    run_job(plan("pass"))
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_worker_that_was_gone_before_it_was_seen_ends_all(tmp_path):
    manager = "import time; print('Worker process 1 exit with exception. Error code: 5.', flush=True); time.sleep(60)"
    start = Start("msrun", (sys.executable, "-c", manager), tmp_path / "msrun.log")
    error = failure_of(LaunchPlan((start,), {0: tmp_path / "worker_0.log"}, managed=True))
    assert str(error).startswith("a worker failed with exit code 5, ")


def test_a_manager_that_fails_itself_is_named(tmp_path):
    start = Start("msrun", (sys.executable, "-c", "raise SystemExit('no such port')"), tmp_path / "msrun.log")
    error = failure_of(LaunchPlan((start,), {0: tmp_path / "worker_0.log"}, managed=True))
    assert str(error).startswith("msrun failed with exit code 1, ")
    assert str(error).endswith("\n  | no such port")


def test_a_crash_is_followed_by_a_new_start(tmp_path):
    programs = ["import os; os.kill(os.getpid(), 9)", "raise SystemExit(4)", "print('done')"]
    said = []
    run_with_restarts(lambda start: direct(tmp_path / str(start), programs[start]), 3, said.append)
    assert [line.splitlines()[-1] for line in said] == ["starting again (1 of 3)", "starting again (2 of 3)"]
    with pytest.raises(JobError, match="failed with exit code 4"):
        run_with_restarts(lambda start: direct(tmp_path / str(start), programs[start]), 1, said.append)


@pytest.mark.parametrize("code", [2, 130])
def test_what_a_new_start_does_not_cure_is_not_repeated(tmp_path, code):
    said = []
    with pytest.raises(JobError):
        run_with_restarts(lambda start: direct(tmp_path, f"raise SystemExit({code})"), 3, said.append)
    assert said == []


def test_a_program_that_is_not_there_is_named(tmp_path):
    start = Start("msrun", (str(tmp_path / "absent"),), tmp_path / "msrun.log")
    with pytest.raises(OSError, match="absent"):
        run_job(LaunchPlan((start,), {0: tmp_path / "worker_0.log"}, managed=True))


def test_processes_end_with_the_launcher(tmp_path):
    """An error of the launcher itself leaves nothing behind, either."""
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_launch_job import SLEEP, managed
from mindrestore.launch import job
plan = managed(Path({str(tmp_path)!r}), SLEEP + "\\n# {tmp_path}")
job._Follower.show = lambda self: (_ for _ in ()).throw(RuntimeError("boom")) if self.path.exists() else None
job.run_job(plan)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert "boom" in done.stderr
    assert left(tmp_path) == []
