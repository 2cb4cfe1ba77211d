"""What a second process does while the first one computes: say how long it takes, and end it when it cannot hear.

MindSpore compiles in C++ for minutes, and Python runs no handlers of signals meanwhile. The system still hands on their
numbers (`signal.set_wakeup_fd`), one byte each, to this program, which needs nothing but the standard library:

    python attendant.py PID SHOWS SCRATCH WORK=END ...      with those bytes, and `BEGIN + n`, on its standard input
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time

BEGIN, IDLE, LEAVE = (
    128,
    254,
    255,
)  # BEGIN + n: work n begins; IDLE: it has ended; LEAVE: all has
FIRST, EVERY = 2.0, 10.0  # seconds until the first line about a long work, and between two of them
GRACE = 1.2  # seconds in which the process may end by itself after the second signal


class Attendant:
    """Act on the bytes that a process sends.

    Args:
        pid: the process.
        shows: False for ranks other than 0, which print nothing.
        scratch: folder to remove when the process is gone.
        works: (what the process may be busy with, what ends first when it is asked to stop).
    """

    def __init__(self, pid: int, shows: bool, scratch: str, works: list[tuple[str, str]]) -> None:
        self.pid, self.shows, self.scratch, self.works = pid, shows, scratch, works
        self.work: tuple[str, str] | None = None
        self.began = 0.0
        self.next_line = self.deadline = float("inf")
        self.signals = 0

    def run(self) -> None:
        """Attend until the process says that it leaves, or has gone."""
        while True:
            wait = min(self.next_line, self.deadline) - time.monotonic()
            if select.select([0], [], [], None if wait == float("inf") else max(0.0, wait))[0]:
                codes = os.read(0, 1000)
                if not codes:  # it was killed
                    shutil.rmtree(self.scratch, ignore_errors=True)
                    return
                for code in codes:
                    if code == LEAVE:
                        return
                    self.take(code)
            self.look(time.monotonic())

    def take(self, code: int) -> None:
        """Note one byte."""
        if code in (signal.SIGINT, signal.SIGTERM):
            self.signals += 1
            if self.signals == 1:
                ends = self.work[1] if self.work else "the step in progress ends"
                self.say(f"stopping as soon as {ends}; a second signal stops at once, without saving")
            elif self.signals == 2:
                self.say("stopping at once; the last saved state is kept")
                self.deadline = time.monotonic() + GRACE
        elif code >= BEGIN:
            self.work = None if code == IDLE else self.works[code - BEGIN]
            self.began = time.monotonic()
            self.next_line = self.began + FIRST if self.work else float("inf")

    def look(self, now: float) -> None:
        """Do what is due: a line about long work, or the end of a process that does not end by itself."""
        if self.work and now >= self.next_line:
            self.say(f"{self.work[0]}: {now - self.began:.0f} s so far")
            self.next_line = now + EVERY
        if now >= self.deadline:
            self.deadline = float("inf")
            os.kill(self.pid, signal.SIGKILL)  # its end of the pipe closes, which ends this program, too

    def say(self, line: str) -> None:
        """Print a line where the process prints its errors."""
        if self.shows:
            os.write(2, f"{line}\n".encode())


if __name__ == "__main__":
    works = [tuple(word.split("=")) for word in sys.argv[4:]]
    Attendant(int(sys.argv[1]), sys.argv[2] == "1", sys.argv[3], works).run()  # type: ignore[arg-type]
