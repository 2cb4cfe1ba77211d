"""Turn Ctrl-C and SIGTERM into a polite request to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StopRequest:
    """Catch SIGINT and SIGTERM inside a `with` block.

    The first signal sets `requested`, so that the step in progress can finish; the second one raises
    KeyboardInterrupt at once. Inside `at_once()` the first one raises as well.
    """

    def __init__(self) -> None:
        self.requested = False
        self._immediate = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # only there does Python allow handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._former = {}

    def renew(self) -> None:
        """Take the signals back: MindSpore's data engine installs its own handlers whenever it starts several workers.

        They end the process without saving anything.
        """
        for number in self._former:
            signal.signal(number, self._on_signal)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal break off the block: for work that may be thrown away, such as a validation."""
        self._immediate = True
        try:
            yield
        finally:
            self._immediate = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if again or self._immediate:
            raise KeyboardInterrupt
