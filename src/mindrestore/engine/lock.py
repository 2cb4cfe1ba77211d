"""One training owns a run folder: a lock that names its process, and that its death releases.

The system's own lock on `run.lock` decides wherever the file system keeps one for all machines (local disks, NFS).
Where it does not (some object-storage and cluster mounts), the file itself tells: its owner touches it every few
seconds, and a file of another machine that nobody touches any more is taken over.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mindrestore.engine.outcome import CheckpointError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = "run.lock"
BEAT = 5.0  # seconds between two signs of life
PATIENCE = 20.0  # seconds to watch a file of another machine before it counts as left behind
_BUSY = (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN)
_LEFT_BEHIND = re.compile(r"\..+?\.(\d+)(\.\d+)?\.(tmp|ckpt)")  # what an interrupted writer leaves, with its process


class RunLock:
    """Own a run folder inside a `with` block.

    Args:
        folder: run folder; it is made when it is missing, and removed in the end when nothing was written into it.
        say: takes a line for the user, when it takes a while.

    Raises:
        CheckpointError: another training works there, on this machine or another one, or the folder cannot be written.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = print) -> None:
        self.folder, self.path, self._say = folder, folder / NAME, say
        self._file = -1
        self._made: list[Path] = []
        self._done = threading.Event()

    def __enter__(self) -> RunLock:
        try:
            self._made = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = self._locked()
            os.ftruncate(self._file, 0)
            host, now = socket.gethostname(), datetime.now().astimezone().isoformat(timespec="seconds")
            os.pwrite(self._file, f"{os.getpid()} {host} {now}\n".encode(), 0)
            remove_left_behind(self.folder)
        except OSError as error:
            raise CheckpointError(
                f"run folder {self.folder} cannot be written ({error.strerror}); choose another output.root"
            ) from error
        threading.Thread(target=self._beat, name="run lock", daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self.path.unlink(missing_ok=True)  # before the lock is released: nobody may lock a file that is about to go
        os.close(self._file)
        for path in self._made:
            if any(path.iterdir()):
                break
            path.rmdir()

    def _locked(self) -> int:
        """Return the file, locked, once nobody else holds it."""
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                alone = _lock(file)
                pid, host, since = _owner(file)
                if alone is False or (alone is None and host == socket.gethostname() and _lives(pid)):
                    raise CheckpointError(self._refusal(pid, host, since))
                if host not in ("", socket.gethostname()) and self._beats(host):
                    raise CheckpointError(self._refusal(pid, host, since))
                if _same_file(file, self.path):  # else its owner has removed it meanwhile
                    return file
            except BaseException:
                os.close(file)
                raise
            os.close(file)

    def _refusal(self, pid: int, host: str, since: str) -> str:
        here = host in ("", socket.gethostname())
        who = f"process {pid}" if pid else "another process"
        where = "" if here else f" on machine {host}"
        stop = f"`kill {pid}`" if here and pid else "there"
        when = f" since {since}" if since else ""
        return (
            f"run folder {self.folder} is in use: {who}{where} has been training into it{when}; "
            f"wait for it, stop it ({stop}), or choose another --run-dir or output.name"
        )

    def _beats(self, host: str) -> bool:
        """Watch the file of another machine, and return whether anybody touches it."""
        self._say(f"{self.path} was left by machine {host}; watching for {PATIENCE:g} s whether it still trains there")
        before, deadline = os.stat(self.path).st_mtime_ns, time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(min(BEAT, PATIENCE) / 5)
            with open(self.path, "rb"):  # NFS looks at the server when a file is opened
                if os.stat(self.path).st_mtime_ns != before:
                    return True
        return False

    def _beat(self) -> None:
        while not self._done.wait(BEAT):
            try:
                os.utime(self._file)
            except OSError:  # the folder is gone or cannot be reached; what is written next reports that
                return


def remove_left_behind(folder: Path) -> None:
    """Remove temporary files of processes that are gone: what a kill in the middle of writing leaves.

    Args:
        folder: run folder, which nobody else trains into.
    """
    for path in folder.iterdir():
        found = _LEFT_BEHIND.fullmatch(path.name)
        if found and not _lives(int(found[1])):
            path.unlink(missing_ok=True)


def _lock(file: int) -> bool | None:
    """Lock a file; False when another process holds it, None when this file system keeps no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _BUSY else None
    return True


def _owner(file: int) -> tuple[int, str, str]:
    """Read process, machine and time; zero and empty words for a new file."""
    words = os.pread(file, 1000, 0).decode(errors="replace").split()
    pid, host, since = (words + ["", "", ""])[:3]
    return int(pid) if pid.isdigit() else 0, host, since


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return pid > 0


def _same_file(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False
