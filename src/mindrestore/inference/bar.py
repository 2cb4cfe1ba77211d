"""A progress bar over images that moves inside an image too, and whose clock goes on while a tile is computed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {rate_noinv_fmt}, {elapsed} gone, {remaining} left"
_TICK = 0.5  # seconds between two looks at the clock


class Bar:
    """Show how many images are done, and how far the one at work has come.

    Args:
        total: Images.
        shown: Whether to show it; None: on a terminal only.
    """

    def __init__(self, total: int, shown: bool | None) -> None:
        self.total, self.done = total, 0
        hidden = sys.stderr is None or (None if shown is None else not shown)  # tqdm takes None for "on a terminal"
        self._bar = tqdm(total=total, unit="image", disable=hidden, bar_format=_FORMAT)
        self._show(0.0)

    def update(self, images: int = 1) -> None:
        """Count images that are done."""
        self.done += images
        self._show(0.0)

    def share(self, share: float) -> None:
        """Show which share of the image at work is done, from 0 to 1."""
        self._show(share)

    def tick(self) -> None:
        """Show the time that has gone."""
        self._bar.refresh()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    @property
    def hidden(self) -> bool:
        """Whether nobody sees it."""
        return bool(self._bar.disable)

    def _show(self, share: float) -> None:
        if not self.hidden:
            self._bar.n = min(self.done + share, self.total)
            self._bar.set_description_str(f"restore {self.done}/{self.total}", refresh=True)


@contextmanager
def showing(total: int, shown: bool | None, restorer: Any) -> Iterator[Bar]:
    """Show a bar in a `with` block; a restorer with a `progress` moves it inside an image.

    Args:
        total: Images.
        shown: Whether to show it; None: on a terminal only.
        restorer: What restores the images.

    Yields:
        The bar.
    """
    bar, ended = Bar(total, shown), threading.Event()
    if not bar.hidden:
        if hasattr(restorer, "progress"):
            restorer.progress = bar.share
        clock = threading.Thread(target=_run_clock, args=(bar, ended), daemon=True)
        clock.start()
    try:
        yield bar
    finally:
        ended.set()
        if not bar.hidden:
            clock.join()
            if hasattr(restorer, "progress"):
                restorer.progress = None
        bar.close()


def _run_clock(bar: Bar, ended: threading.Event) -> None:
    while not ended.wait(_TICK):
        bar.tick()
