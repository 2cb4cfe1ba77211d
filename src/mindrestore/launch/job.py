"""Run a planned job on this node: show the leader's log, and end all processes when one fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, NamedTuple

import psutil

from mindrestore.errors import MindRestoreError
from mindrestore.launch.plan import MSRUN, LaunchPlan, Start

USAGE_ERROR, INTERRUPTED = 2, 130
_POLL = 0.1  # seconds between two looks
_PARTING = 1.0  # seconds for the others to write why they fail, too
_STOPPING = 60.0  # seconds for the workers to save after a signal
_SHOWN = 12  # last lines of a failed worker's log
# A line of MindSpore's own log, such as "[ERROR] DISTRIBUTED(7,7f05,python):2026-01-01-10:00:00.000.000 [...] ...".
_LIBRARY_LINE = re.compile(r"\[(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\] [A-Z_]+\([0-9]+,")
_MSRUN_REPORT = re.compile(r"Worker process (\d+) exit with exception\. Error code: (-?\d+)")


class JobError(MindRestoreError):
    """Report a job that failed; `exit_code` is that of the process that failed first."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    @property
    def curable(self) -> bool:
        """Return whether the same command may succeed: after a crash, not after a wrong argument or Ctrl-C."""
        return self.exit_code not in (USAGE_ERROR, INTERRUPTED)


class _End(NamedTuple):
    """How a process ended: exit code, negative for a signal, as Python counts."""

    name: str
    code: int
    log: Path


def run_job(plan: LaunchPlan) -> None:
    """Run the processes of a plan to their end.

    Args:
        plan: from `make_plan`; the folders of its logs exist.

    Raises:
        JobError: a process failed, or Ctrl-C or SIGTERM came; all others have been ended.
    """
    leader = next(iter(plan.logs.values()))
    with ExitStack() as stack:
        stopped = stack.enter_context(_signals())
        processes = [_start(start) for start in plan.starts]
        family = _Family(plan, processes)
        stack.callback(family.kill)
        follower = stack.enter_context(_Follower(leader))
        failure = None
        while failure is None and family.runs() and not stopped:
            follower.show()
            time.sleep(_POLL)
            failure = family.look()
        if stopped:
            family.stop(stopped, follower.show)
            raise JobError("stopped; run the same command to continue from the last checkpoint", INTERRUPTED)
        failure = failure or family.look()
        if failure:
            time.sleep(_PARTING)
            raise JobError(_described(failure), failure.code if failure.code > 0 else 128 - failure.code)


def run_with_restarts(plan: Callable[[int], LaunchPlan], restarts: int, say: Callable[[str], None]) -> None:
    """Run a job, and start it again after a crash; the training itself goes on from its last checkpoint.

    Args:
        plan: number of the start, from 0 -> plan.
        restarts: how often to start again.
        say: takes a line for the user.

    Raises:
        JobError: the job failed once more than that, or in a way that a new start does not cure.
    """
    for start in range(restarts + 1):
        try:
            return run_job(plan(start))
        except JobError as error:
            if not error.curable or start == restarts:
                raise
            say(f"{error}\nstarting again ({start + 1} of {restarts})")


class _Family:
    """Know every process of the job: those started here, and the workers that a manager started.

    msrun gives each worker a session of its own and tells the exit code of the first one that it looks at. The table
    of processes tells earlier, and which came first.
    """

    def __init__(self, plan: LaunchPlan, processes: Sequence[subprocess.Popen]) -> None:
        self.plan, self.processes = plan, processes
        self.of_msrun = plan.managed and plan.starts[0].name == MSRUN
        self.members = {process.pid: psutil.Process(process.pid) for process in processes}
        self.ranks: dict[int, int] = {}  # of msrun's workers, by process number

    def runs(self) -> bool:
        return any(process.poll() is None for process in self.processes)

    def look(self) -> _End | None:
        """Take in new processes, and return the first that failed."""
        if self.of_msrun:
            if len(self.ranks) < len(self.plan.logs):
                self._find_workers()
            failed = next(filter(None, map(self._failed_worker, self.ranks)), None)
            if failed is None or failed.code == -signal.SIGKILL:  # perhaps by msrun, which had seen another fail
                failed = self._reported() or failed
            if failed:
                return failed
        for process, start in zip(self.processes, self.plan.starts):
            if process.poll():
                return _End(start.name, process.returncode, start.log)
        return None

    def stop(self, signals: Sequence[int], show: Callable[[], None]) -> None:
        """Ask the workers to save and leave; a second signal, or too long a wait, ends that."""
        self.look()
        # mpirun hands the signal on; msrun would end its workers at once
        asked = [self.members[pid] for pid in (self.ranks if self.of_msrun else self.members)]
        for member in asked:
            _send(member, signal.SIGTERM)
        deadline = time.monotonic() + _STOPPING
        while len(signals) < 2 and time.monotonic() < deadline and any(map(_works, asked)):
            show()
            time.sleep(_POLL)

    def kill(self) -> None:
        """End whatever still runs."""
        for member in [*self.members.values()]:
            self.members.update({child.pid: child for child in _children(member, recursive=True)})
        for member in self.members.values():
            _send(member, signal.SIGKILL)
        for process in self.processes:
            process.wait()
        psutil.wait_procs(self.members.values(), timeout=_PARTING)

    def _find_workers(self) -> None:
        for child in _children(self.members[self.processes[0].pid]):
            self.members.setdefault(child.pid, child)
            rank = None if child.pid in self.ranks else _rank(child)
            if rank is not None:
                self.ranks[child.pid] = rank

    def _failed_worker(self, pid: int) -> _End | None:
        """Return how a worker ended that its manager has not yet taken notice of."""
        code = _exit_code(self.members[pid])
        return self._end(pid, code) if code else None

    def _reported(self) -> _End | None:
        """Find what msrun says about the first worker that failed, in case it was gone before it was known here."""
        log = self.plan.starts[0].log
        found = _MSRUN_REPORT.search(log.read_text(encoding="utf-8", errors="replace"))
        if not found:
            return None
        pid, code = int(found[1]), int(found[2])
        return self._end(pid, code) if pid in self.ranks else _End("a worker", code, log)

    def _end(self, pid: int, code: int) -> _End:
        return _End(f"worker {self.ranks[pid]}", code, self.plan.logs[self.ranks[pid]])


class _Follower:
    """Show the lines that are written to a log that may not exist yet, without those of MindSpore's own log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: IO[bytes] | None = None
        self._begun = ""  # a line whose end has not been written

    def __enter__(self) -> _Follower:
        return self

    def __exit__(self, *exception: object) -> None:
        self.show()
        _print(self._begun)
        if self.file:
            self.file.close()

    def show(self) -> None:
        """Show what is new."""
        if self.file is None and self.path.exists():
            self.file = self.path.open("rb")
        if self.file:
            *lines, self._begun = (self._begun + self.file.read().decode(errors="replace")).split("\n")
            _print(*(f"{line}\n" for line in lines))


def _print(*lines: str) -> None:
    sys.stdout.write("".join(line for line in lines if not _LIBRARY_LINE.match(line)))
    sys.stdout.flush()


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM and, without nohup, SIGHUP in a list instead of dying of them."""
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)

    caught = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
    former = {number: signal.signal(number, note) for number in caught}
    try:
        yield seen
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _start(start: Start) -> subprocess.Popen:
    with start.log.open("wb") as log:
        return subprocess.Popen(
            start.command,
            env={**os.environ, **start.env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C comes to this process, which passes it on in order
        )


def _children(process: psutil.Process, recursive: bool = False) -> list[psutil.Process]:
    try:
        return process.children(recursive=recursive)
    except psutil.Error:
        return []


def _rank(process: psutil.Process) -> int | None:
    """Read a worker's rank from its environment; None for others, and for a process that is just beginning."""
    try:
        environment = process.environ()
    except (psutil.Error, OSError):
        return None
    if environment.get("MS_ROLE") != "MS_WORKER":
        return None
    return int(environment["RANK_ID"])


def _exit_code(process: psutil.Process) -> int | None:
    """Return the exit code of a process that ended and that its parent has not yet asked; None otherwise."""
    try:
        if process.status() != psutil.STATUS_ZOMBIE:
            return None
        status = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8", errors="replace").split()[-1]
    except (psutil.Error, OSError):
        return None
    return os.waitstatus_to_exitcode(int(status))


def _works(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return  # it has ended


def _described(end: _End) -> str:
    how = f"was ended by {signal.Signals(-end.code).name}" if end.code < 0 else f"failed with exit code {end.code}"
    text = end.log.read_text(encoding="utf-8", errors="replace") if end.log.exists() else ""
    lines = [line for line in text.splitlines() if not _LIBRARY_LINE.match(line)][-_SHOWN:]
    shown = "".join(f"\n  | {line}" for line in lines)
    return f"{end.name} {how}, all others were ended; the end of {end.log}:{shown or ' nothing'}"
