"""Turn Ctrl-C and SIGTERM into a polite request to stop, heard even while MindSpore compiles."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from mindrestore.engine import attendant

# For what MindSpore's compiler leaves when it fails or is interrupted, else in `rank_0/om` of the working folder.
SCRATCH = Path(tempfile.gettempdir()) / f"mindrestore-{os.getpid()}"
COMPILING, COMPUTING, VALIDATING = 0, 1, 2
_WORKS = (  # what is being done = what ends first when a stop is asked for
    "compiling the training step=the graph is compiled",
    "computing the first step=the step in progress ends",
    "validating=the image in progress is measured",
)
_INTERRUPTED = 130  # 128 + SIGINT, as shells count

_active: list[StopRequest] = []


class StopRequest:
    """Catch SIGINT and SIGTERM inside a `with` block.

    The first signal sets `requested`, so that the step in progress can finish, and says so; a second one raises
    KeyboardInterrupt. While MindSpore compiles it ends the process instead: an exception raised there comes back as
    pages of MindSpore's own. An attendant process (see `attendant.py`) prints what happens and makes sure of the end.

    Args:
        shows: whether lines are printed; False for ranks other than 0.
    """

    def __init__(self, shows: bool = True) -> None:
        self.requested = False
        self._shows = shows
        self._work: int | None = None
        self._former: dict[int, Any] = {}
        self._pipe = -1  # to the attendant
        self._former_pipe = -1  # another program's, such as that of an event loop
        self._attendant: subprocess.Popen | None = None

    def __enter__(self) -> StopRequest:
        _active.append(self)
        if threading.current_thread() is threading.main_thread():  # only there does Python allow handlers
            self._start_attendant()
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *exception: object) -> None:
        _active.remove(self)
        for number, handler in self._former.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._former = {}
        if self._attendant is not None:
            signal.set_wakeup_fd(self._former_pipe)
            self._tell(attendant.LEAVE)
            os.close(self._pipe)
            self._attendant.wait()
            self._attendant = None

    @contextmanager
    def working(self, work: int) -> Iterator[None]:
        """Print every few seconds how long a block takes that compiles, computes or validates (the constants above)."""
        self._work = work
        self._tell(attendant.BEGIN + work)
        try:
            yield
        finally:
            self._work = None
            self._tell(attendant.IDLE)

    def _start_attendant(self) -> None:
        reader, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        words = [str(os.getpid()), str(int(self._shows)), str(SCRATCH), *_WORKS]
        try:
            self._attendant = subprocess.Popen(
                [sys.executable, "-I", "-S", attendant.__file__, *words],
                stdin=reader,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches all processes of a terminal's group
            )
        finally:
            os.close(reader)
        self._former_pipe = signal.set_wakeup_fd(self._pipe, warn_on_full_buffer=False)

    def _tell(self, code: int) -> None:
        if self._attendant is not None:
            try:
                os.write(self._pipe, bytes([code]))
            except OSError:  # it was killed: training goes on without it
                return

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if not again:
            return
        shutil.rmtree(SCRATCH, ignore_errors=True)
        if self._work == COMPILING:
            os._exit(_INTERRUPTED)
        raise KeyboardInterrupt


def break_off() -> None:
    """Raise KeyboardInterrupt when a stop was requested: at a point where work may be thrown away, such as an image.

    Raises:
        KeyboardInterrupt: a training of this process was asked to stop.
    """
    if any(stop.requested for stop in _active):
        raise KeyboardInterrupt
