"""The server's side of the process that holds the networks: start it, give it work, end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mindrestore.serve.jobs import Job
from mindrestore.serve.limits import (
    MemoryShortError,
    ServeError,
    StorageError,
    StorageFullError,
    UnrestoredError,
    WorkerError,
)

_COMMAND = (sys.executable, "-m", "mindrestore.serve.child")


class NetworkProcess:
    """The process of the networks; it is started again after it ended.

    Args:
        weights: `TASK=FILE` or `NETWORK=FILE`, as for `find_offers`.
        options: Keywords of `Restorer`.
        command: Program that is started.
    """

    def __init__(self, weights: Sequence[str], options: Mapping[str, Any], command: Sequence[str] = _COMMAND) -> None:
        self._settings = {"weights": list(weights), "options": dict(options)}
        self._command = list(command)
        self._process: subprocess.Popen[str] | None = None
        self._launching = threading.Lock()  # a process that is being started cannot slip through `kill`

    def start(self, job: Job | None = None) -> list[dict[str, Any]]:
        """Start the process.

        Args:
            job: What it is started for; nothing happens when that was cancelled.

        Returns:
            For every task its name and the networks that are offered for it; none where weights are missing.

        Raises:
            ServeError: The weights cannot be used.
            WorkerError: The process ended at once.
        """
        package = str(Path(__file__).resolve().parents[2])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        with self._launching:
            if job and job.cancelled:
                raise WorkerError("cancelled")
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,  # so that Ctrl-C in the terminal reaches the server only
            )
        answer = self._ask(self._settings)
        if answer is None:
            raise _ended(self._process)
        if "failed" in answer:
            self.kill()
            raise ServeError(answer["failed"])
        return answer["done"]["tasks"]

    def restore(self, job: Job) -> dict[str, Any]:
        """Restore the image of a job, and report how far it is.

        Returns:
            Facts about the result: sides, bits, bytes, seconds, names of the previews.

        Raises:
            UnrestoredError: The image cannot be restored; the message says why.
            StorageError: The temporary folder does not allow it.
            MemoryShortError: Memory ran out.
            WorkerError: The process ended; a new one is started for the next job.
        """
        request = {"networks": list(job.networks), "name": job.upload.name}
        request |= {"source": str(job.source), "target": str(job.target)}
        answer = self._ask(request, job) if self._process and self._process.poll() is None else None
        if answer is None:  # it is not there, or ended before it saw this image
            job.report("loading")
            self.start(job)
            answer = self._ask(request, job)
        if answer is None:
            raise _ended(self._process)
        if "failed" in answer:
            kinds = {kind.status: kind for kind in (StorageError, StorageFullError, MemoryShortError)}
            raise kinds.get(answer.get("status"), UnrestoredError)(answer["failed"])
        return answer["done"]

    def kill(self) -> None:
        """End the process, whatever it is doing; it is gone when this returns."""
        with self._launching:
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def _ask(self, request: Mapping[str, Any], job: Job | None = None) -> dict[str, Any] | None:
        """Send a request and wait for its answer; None: the process ended without a word."""
        process, word = self._process, None
        with suppress(BrokenPipeError, json.JSONDecodeError):  # it ended before, or in the middle of a line
            process.stdin.write(f"{json.dumps(request)}\n")
            process.stdin.flush()
            for line in process.stdout:
                word = json.loads(line)
                if "phase" not in word:
                    return word
                job.report(word["phase"], word.get("share"))
        with suppress(BrokenPipeError):  # what it did not read
            process.stdin.close()
        process.stdout.close()
        process.kill()  # what is left of it, after half a line
        process.wait()
        if word is not None:
            raise _ended(process)
        return None


def _ended(process: subprocess.Popen[str]) -> WorkerError:
    return WorkerError(
        f"the process of the network ended with code {process.wait()}, as it does when memory runs out; try a "
        "smaller image, or start the server with smaller tiles, as in --tile 512"
    )
