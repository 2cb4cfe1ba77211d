"""How far the work on an image has come: shares of the whole, through all that a restorer does with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable


class ImageProgress:
    """Pass on to a listener which share of an image is done.

    Attributes:
        listener: Takes the share, from 0 to 1; None: nobody listens.
    """

    def __init__(self) -> None:
        self.listener: Callable[[float], None] | None = None
        self._start, self._span = 0.0, 1.0

    def tell(self, done: int, total: int) -> None:
        """Report how much of the part that runs now is done."""
        if self.listener:
            self.listener(self._start + self._span * done / total)

    @contextmanager
    def part(self, start: float, share: float) -> Iterator[None]:
        """Let what runs in this block be a share of what runs around it, after a share that is done."""
        before = self._start, self._span
        self._start, self._span = self._start + self._span * start, self._span * share
        try:
            yield
        finally:
            self._start, self._span = before
