"""The queue: one restoration at a time, a bounded number behind it, and files that go away."""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from mindrestore.errors import MindRestoreError
from mindrestore.serve.limits import Limits, QueueFullError, UnfinishedError, UnknownJobError
from mindrestore.serve.uploads import Upload

_log = logging.getLogger(__name__)

WAITING, WORKING, DONE, FAILED = "waiting", "working", "done", "failed"


@dataclass(eq=False)
class Job:
    """One restoration.

    Attributes:
        token: Random name, which nobody can guess.
        upload: The image.
        network: Key of the network that restores it.
        folder: Its own folder, for image, result and previews.
        state: `waiting`, `working`, `done` or `failed`.
        phase: What is being done while it works: `loading`, `reading`, `restoring`, `writing`.
        share: How much of the image is restored, from 0 to 1; None where the network takes it in one piece.
        error: Why it failed, in one line.
        status: HTTP status of that error.
        facts: What is known of the result: `width`, `height`, `bits`, `bytes`, `seconds`, names of the previews.
        cancelled: Whether nobody wants the result any more.
    """

    token: str
    upload: Upload
    network: str
    folder: Path
    state: str = WAITING
    phase: str | None = None
    share: float | None = None
    error: str | None = None
    status: int = 200
    facts: Mapping[str, Any] = field(default_factory=dict)
    cancelled: bool = False
    started: float | None = None
    ended: float | None = None

    @property
    def source(self) -> Path:
        """Return where the image lies."""
        return self.folder / f"input{self.upload.suffix}"

    @property
    def target(self) -> Path:
        """Return where the result goes."""
        return self.folder / f"result{self.upload.result_suffix}"

    @property
    def over(self) -> bool:
        """Return whether it is done or failed."""
        return self.state in (DONE, FAILED)

    def report(self, phase: str, share: float | None = None) -> None:
        """Note how far the work is."""
        self.phase, self.share = phase, share


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
        self._closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

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

    def refuse_when_full(self) -> None:
        """Refuse another job while too many wait.

        Raises:
            QueueFullError: They do, or the server is ending.
        """
        if self._closed:
            raise QueueFullError("the server is ending; try again later")
        if len(self._waiting) >= self.limits.max_waiting:
            raise QueueFullError(f"{len(self._waiting)} images wait already, which is the most; try again in a while")

    def submit(self, upload: Upload, network: str) -> Job:
        """Put an image into the queue.

        Args:
            upload: The image; its bytes are copied into the folder of the job.
            network: Key of the network.

        Returns:
            The job.

        Raises:
            QueueFullError: Too many jobs wait, or the server is ending.
        """
        self.refuse_when_full()
        token = secrets.token_urlsafe(18)
        job = Job(token, upload, network, self._folder / token)
        job.folder.mkdir(mode=0o700)
        try:
            with open(job.source, "wb") as stored:
                shutil.copyfileobj(upload.stream, stored, 1 << 20)
            with self._changed:
                self._expire()
                self.refuse_when_full()  # others may have come during the copy
                self._jobs[token] = job
                self._waiting.append(job)
                self._changed.notify_all()
        except BaseException:
            shutil.rmtree(job.folder, ignore_errors=True)
            raise
        return job

    def find(self, token: str) -> Job:
        """Find a job by its random name.

        Raises:
            UnknownJobError: There is none, or it has expired.
        """
        with self._changed:
            self._expire()
            if token not in self._jobs:
                raise UnknownJobError("no such job; its files may have been removed: send the image again")
            return self._jobs[token]

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

    def position(self, job: Job) -> int:
        """Return the place of a job among those that wait, 1 for the next; 0 when it does not wait."""
        with self._changed:
            return self._waiting.index(job) + 1 if job in self._waiting else 0

    def counts(self) -> dict[str, int]:
        """Count the jobs that wait and work."""
        with self._changed:
            return {WAITING: len(self._waiting), WORKING: int(self._working is not None)}

    def delete(self, token: str) -> None:
        """Forget a job and remove its files; one in work is broken off.

        Raises:
            UnknownJobError: There is no such job.
        """
        job = self.find(token)
        with self._changed:
            self._jobs.pop(token, None)
            if job in self._waiting:
                self._waiting.remove(job)
            if job is self._working:
                job.cancelled = True
                self._abort()  # its files are removed when the work has ended
            else:
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
            job.state, job.started = WORKING, self._clock()
        state, error, status, facts = FAILED, None, 500, {}
        try:
            state, facts, status = DONE, self._work(job), 200
        except MindRestoreError as failure:
            error, status = str(failure), getattr(failure, "status", 422)
        finally:  # also after a defect, which must not leave the client waiting
            self._end(job, state, error or "an internal error; the terminal of the server shows it", status, facts)
        return True

    def _end(self, job: Job, state: str, error: str, status: int, facts: Mapping[str, Any]) -> None:
        with self._changed:
            self._working = None
            job.facts, job.status, job.ended = facts, status, self._clock()
            job.error = error if state == FAILED else None
            job.state = state  # last: whoever reads without the lock sees the rest complete
            job.source.unlink(missing_ok=True)
            if state == FAILED or job.cancelled:
                shutil.rmtree(job.folder, ignore_errors=True)

    def _work_on(self) -> None:
        while not self._closed:
            try:
                self.run_next(timeout=self._pause())
            except Exception:
                _log.exception("a job failed through a defect; the next one goes on")

    def _pause(self) -> float:
        """Look for expired files even when nobody asks for anything."""
        return min(self.limits.keep_seconds / 4, 30)

    def _expire(self) -> None:
        over = sorted((job for job in self._jobs.values() if job.over), key=lambda job: job.ended)
        surplus = max(len(over) - self.limits.max_kept, 0)
        for place, job in enumerate(over):
            if place < surplus or self._clock() - job.ended >= self.limits.keep_seconds:
                del self._jobs[job.token]
                shutil.rmtree(job.folder, ignore_errors=True)
