"""Threads that make samples, or processes behind them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import numpy as np

from mindrestore.data.source import PatchSource, Slot
from mindrestore.images.pixels import to_float

_LOOK = 2.0  # seconds between two looks whether the training still runs

_source: PatchSource | None = None  # of a process that makes samples


class Workers:
    """Make samples and write them where they belong.

    Threads are enough mostly, since decoding and copies of arrays release the interpreter's lock. With processes every
    thread asks a process for its sample; they start with the first one, stay for all epochs, and keep their files open.

    Args:
        source: Makes a sample.
        count: How many work at a time.
        processes: Whether processes do the work.
    """

    def __init__(self, source: PatchSource, count: int, processes: bool = False) -> None:
        self.source, self.count, self.processes = source, count, processes
        self._executor: ProcessPoolExecutor | None = None

    @contextmanager
    def pool(self) -> Iterator[Executor]:
        """Return threads for `fill`; what they have not begun is dropped when the block ends."""
        threads = ThreadPoolExecutor(self.count, "samples")
        try:
            yield threads
        finally:
            threads.shutdown(wait=True, cancel_futures=True)

    def fill(self, epoch: int, slots: Sequence[Slot], images: np.ndarray, targets: np.ndarray) -> None:
        """Make samples.

        Args:
            epoch: Number of the epoch.
            slots: The samples.
            images, targets: (samples, 3, P, P) float32, which take the patches in [0, 1].
        """
        make = self._asked if self.processes else self.source
        for slot, *places in zip(slots, images, targets):
            for patch, out in zip(make(epoch, slot), places):
                to_float(patch, out)

    def _asked(self, epoch: int, slot: Slot) -> tuple[np.ndarray, np.ndarray]:
        """Let a process make a sample."""
        return self._running().submit(_make, epoch, slot).result()

    def _running(self) -> ProcessPoolExecutor:
        with _STARTING:
            if self._executor is None:
                # Fresh processes: a copy of one that has MindSpore's threads may hang.
                context = get_context("spawn")
                self._executor = ProcessPoolExecutor(self.count, context, _adopt, (self.source, os.getpid()))
        return self._executor


_STARTING = threading.Lock()


def _adopt(source: PatchSource, parent: int) -> None:
    """Prepare a process: Ctrl-C is for the training, and without it there is nothing to do."""
    global _source
    _source = source
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(0)


def _make(epoch: int, slot: Slot) -> tuple[np.ndarray, np.ndarray]:
    assert _source is not None  # set by `_adopt` before the first call
    return _source(epoch, slot)
