"""The queue: one restoration at a time, a bounded number behind it, and files that go away."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable

from mindrestore.errors import MindRestoreError
from mindrestore.serve.jobs import CANCELLED, DONE, FAILED, WAITING, WORKING, Job
from mindrestore.serve.limits import BusyError, Limits, UnfinishedError, UnknownJobError
from mindrestore.serve.pace import Pace
from mindrestore.serve.uploads import Upload

_log = logging.getLogger(__name__)

WorkFunction = Callable[[Job], Mapping[str, Any]]


class JobQueue:
    """Restore what is submitted, in turn, in a thread of its own.

    Args:
        work: Restores one job, calls its `report`, and returns facts about the result; a MindRestoreError is a failure
            that is shown to the client.
        folder: Empty folder for the files of all jobs.
        limits: How many jobs wait, and how long results stay.
        abort: Makes a running `work` end soon; its job is marked as cancelled before.
        clock: Gives seconds.
    """

    def __init__(
        self,
        work: WorkFunction,
        folder: Path,
        limits: Limits,
        *,
        abort: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self._work, self._abort, self._folder, self._clock = work, abort, folder, clock
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._working: Job | None = None
        self._arriving = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._pace = Pace()

    def start(self) -> None:
        """Begin to work."""
        self._thread = threading.Thread(target=self._work_on, name="restorations", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop working, forget every job and remove the files."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._jobs.clear()
            if self._working:
                self._working.cancelled = True
                self._abort()
            self._changed.notify_all()
        if self._thread:
            self._thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """Count an image that is being sent, and see that there is a folder for it.

        Raises:
            BusyError: Too many are being sent or wait, or the server is shutting down.
            OSError: The folder cannot be made.
        """
        with self._changed:
            self._refuse_when_full()
            if self._arriving >= self.limits.max_arriving:
                raise BusyError(f"{self._arriving} images are being uploaded, the maximum; try again later")
            self._arriving += 1
        try:
            _make_private(self._folder)  # it may have been removed
            if hasattr(os, "getuid") and self._folder.stat().st_uid != os.getuid():  # and made by somebody else
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            yield
        finally:
            with self._changed:
                self._arriving -= 1

    def submit(self, upload: Upload, networks: Sequence[str]) -> Job:
        """Put an image into the queue.

        Args:
            upload: The image; its bytes are copied into the folder of the job.
            networks: Keys of the networks, in the order of their work.

        Returns:
            The job.

        Raises:
            BusyError: Too many jobs wait, or the server is shutting down.
            OSError: The folder or the disk does not allow it.
        """
        token = secrets.token_urlsafe(18)
        job = Job(token, upload, tuple(networks), self._folder / token)
        try:
            _make_private(job.folder)
            with open(job.source, "wb") as stored:
                shutil.copyfileobj(upload.stream, stored, 1 << 20)
            self._enqueue(job)
        except BaseException:
            shutil.rmtree(job.folder, ignore_errors=True)
            raise
        return job

    def retry(self, token: str) -> Job:
        """Put a job that failed or was cancelled into the queue again.

        Raises:
            UnknownJobError: There is no such job.
            UnfinishedError: It has neither failed nor been cancelled, or its image is gone.
            BusyError: Too many jobs wait, or the server is shutting down.
        """
        with self._changed:
            job = self.find(token)
            if job.state not in (FAILED, CANCELLED):
                raise UnfinishedError(f"{job.upload.name}: the job is {job.state}; only a failed one is tried again")
            if not job.source.is_file():
                raise UnfinishedError(f"{job.upload.name}: the image is gone from the server; send it again")
            self._enqueue(job)
            return job

    def _enqueue(self, job: Job) -> None:
        with self._changed:
            self._expire()
            self._refuse_when_full()
            job.wait_again()
            self._jobs[job.token] = job
            self._waiting.append(job)
            self._changed.notify_all()

    def _refuse_when_full(self) -> None:
        if self._closed:
            raise BusyError("the server is shutting down; try again later")
        if len(self._waiting) >= self.limits.max_waiting:
            raise BusyError(f"{len(self._waiting)} images are already waiting, the maximum; try again later")

    def find(self, token: str) -> Job:
        """Find a job by its random name.

        Raises:
            UnknownJobError: There is none, or it has expired.
        """
        with self._changed:
            self._expire()
            job = self._jobs.get(token)
            if job and job.state == DONE and not job.target.is_file():  # somebody emptied the temporary folder
                self._forget(job)
                job = None
            if job is None:
                raise UnknownJobError("no such job; its files may have been removed: send the image again")
            return job

    def finished(self, token: str) -> Job:
        """Find a job whose result is there.

        Raises:
            UnknownJobError: There is no such job.
            UnfinishedError: It has no result, or none yet.
        """
        job = self.find(token)
        if job.state != DONE:
            raise UnfinishedError(f"{job.upload.name}: there is no result; the job is {job.state}")
        return job

    def seconds_left(self, job: Job) -> float | None:
        """Estimate when a job is done (seconds); None when it is over, and while too little is known."""
        with self._changed:
            if job.over:
                return None
            ahead = list(self._waiting)[: self._waiting.index(job)] if job in self._waiting else []
            return self._pace.seconds_left(job, ahead + ([self._working] if self._working else []))

    def expires_in(self, job: Job) -> float | None:
        """Return in how many seconds a job that is over is forgotten; None for others."""
        return max(job.ended + self.limits.keep_seconds - self._clock(), 0.0) if job.over else None

    def position(self, job: Job) -> int:
        """Return the place of a job among those that wait, 1 for the next; 0 when it does not wait."""
        with self._changed:
            return self._waiting.index(job) + 1 if job in self._waiting else 0

    def counts(self) -> dict[str, int]:
        """Count the jobs that wait and work."""
        with self._changed:
            return {WAITING: len(self._waiting), WORKING: int(self._working is not None)}

    def cancel(self, token: str) -> Job:
        """Break a job off; its image stays for another try.

        Raises:
            UnknownJobError: There is no such job.
        """
        with self._changed:
            job = self.find(token)
            if job in self._waiting:
                self._waiting.remove(job)
                job.ended, job.state = self._clock(), CANCELLED
            elif job is self._working:
                job.cancelled = True
                self._abort()
            return job

    def delete(self, token: str) -> None:
        """Forget a job and remove its files; one in work is broken off.

        Raises:
            UnknownJobError: There is no such job.
        """
        with self._changed:
            job = self.cancel(token)
            self._jobs.pop(token, None)
            if job is not self._working:  # else its files are removed when the work has ended
                self._forget(job)

    def _forget(self, job: Job) -> None:
        self._jobs.pop(job.token, None)
        shutil.rmtree(job.folder, ignore_errors=True)

    def run_next(self, timeout: float | None = 0) -> bool:
        """Do the job whose turn it is.

        Args:
            timeout: Seconds to wait for one.

        Returns:
            False when there was none.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout)
            self._expire()
            if self._closed or not self._waiting:
                return False
            job = self._working = self._waiting.popleft()
            job.state = WORKING
        failure: Exception | None = None
        facts: Mapping[str, Any] = {}
        try:
            facts = self._work(job)
        except Exception as error:  # a defect, too, must not leave the client waiting
            failure = error
            if not isinstance(error, MindRestoreError):
                raise
        finally:
            self._end(job, failure, facts)
        return True

    def _end(self, job: Job, failure: Exception | None, facts: Mapping[str, Any]) -> None:
        with self._changed:
            self._working = None
            job.ended = self._clock()
            if job.cancelled:
                state = CANCELLED
            elif failure is None:
                state, job.facts = DONE, facts
                self._pace.note(job)
                job.source.unlink(missing_ok=True)
            else:
                state, told = FAILED, isinstance(failure, MindRestoreError)
                job.error = str(failure) if told else "an internal error; the terminal of the server shows it"
                job.status = getattr(failure, "status", 422 if told else 500)
                job.kind = getattr(failure, "kind", "unrestored" if told else "defect")
            job.state = state  # last: whoever reads without the lock sees the rest complete
            if job.token not in self._jobs:  # it was deleted meanwhile
                self._forget(job)

    def _work_on(self) -> None:
        while not self._closed:
            try:
                self.run_next(timeout=self._pause())
            except Exception:
                _log.exception("a job failed through a defect; the next one starts")

    def _pause(self) -> float:
        """Look for expired files even when nobody asks for anything."""
        return min(self.limits.keep_seconds / 4, 30)

    def _expire(self) -> None:
        over = sorted((job for job in self._jobs.values() if job.over), key=lambda job: job.ended)
        surplus = max(len(over) - self.limits.max_kept, 0)
        for place, job in enumerate(over):
            if place < surplus or self._clock() - job.ended >= self.limits.keep_seconds:
                self._forget(job)


def _make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for its owner only."""
    if not folder.is_dir():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700)
