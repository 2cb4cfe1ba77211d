"""A job: the image that was sent, what has been asked of it, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindrestore.serve.uploads import Upload

WAITING, WORKING, DONE, FAILED, CANCELLED = "waiting", "working", "done", "failed", "cancelled"


@dataclass(eq=False)
class Job:
    """One restoration.

    Attributes:
        token: Random name, which nobody can guess.
        upload: The image.
        networks: Keys of the networks that restore it, one after the other.
        folder: Its own folder, for image, result and previews.
        state: `waiting`, `working`, `done`, `failed` or `cancelled`.
        phase: What is being done while it works: `loading`, `reading`, `restoring`, `writing`.
        share: How much of the image is restored, from 0 to 1; None where the network takes it in one piece.
        error: Why it failed, in one line.
        kind: Word for that error, for programs.
        status: HTTP status of that error.
        facts: What is known of the result: `width`, `height`, `bits`, `bytes`, `seconds`, names of the previews.
        cancelled: Whether nobody wants the result any more.
        ended: When it was over, by the clock of the queue.
    """

    token: str
    upload: Upload
    networks: tuple[str, ...]
    folder: Path
    state: str = WAITING
    phase: str | None = None
    share: float | None = None
    error: str | None = None
    kind: str | None = None
    status: int = 200
    facts: Mapping[str, Any] = field(default_factory=dict)
    cancelled: bool = False
    ended: float | None = None
    _began: float | None = None  # when the restoring began
    _heard: float = 0.0  # when the share was told

    @property
    def source(self) -> Path:
        """Return where the image lies."""
        return self.folder / f"input{self.upload.suffix}"

    @property
    def target(self) -> Path:
        """Return where the result goes."""
        return self.folder / f"result{self.upload.result_suffix}"

    @property
    def thumbnail(self) -> Path | None:
        """Return a picture for lists, of the result as soon as there is one; None before the image was read."""
        found = (self.folder / f"thumbnail{suffix}" for suffix in (".jpg", ".png"))
        return next((path for path in found if path.is_file()), None)

    @property
    def over(self) -> bool:
        """Return whether nothing more happens to it by itself."""
        return self.state in (DONE, FAILED, CANCELLED)

    def report(self, phase: str, share: float | None = None) -> None:
        """Note how far the work is."""
        now = time.monotonic()
        if phase != self.phase:
            self._began = now if phase == "restoring" else None
        self.phase, self.share, self._heard = phase, share, now

    def wait_again(self) -> None:
        """Forget how it ended, for another try."""
        self.state, self.cancelled, self.ended = WAITING, False, None
        self.phase = self.share = self.error = self.kind = self._began = None
        self.status, self.facts = 200, {}

    def seconds_left(self, expected: float | None) -> float | None:
        """Estimate how long the restoring still takes.

        Args:
            expected: How long all of it takes, as other images did (seconds); None where there were none.

        Returns:
            Seconds: from the share that is done, else from what is expected; None while nothing is known.
        """
        if self.phase == "writing":
            return 0.0
        if self._began is None:
            return expected
        now = time.monotonic()
        if self.share:
            spent = self._heard - self._began
            return max(spent * (1 - self.share) / self.share - (now - self._heard), 0.0)
        return None if expected is None else max(expected - (now - self._began), 0.0)
