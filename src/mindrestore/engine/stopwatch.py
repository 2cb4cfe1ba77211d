"""Where the time of a training goes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


class Stopwatch:
    """Time intervals: all of each, the parts that waited for data and for other ranks, and the images they saw.

    Timing is not part of the state: a resumed run has other times and the same numbers.

    Args:
        names: of the intervals, which may overlap; all begin now.
        world: number of data-parallel processes.
    """

    def __init__(self, names: Sequence[str], world: int = 1) -> None:
        self.world = world
        self._totals = {"paused": 0.0, "data": 0.0, "communication": 0.0, "images": 0.0}
        self._marks = {name: self._now() for name in names}

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Count what happens inside as "data", "communication" or "paused"; the last is left out of all intervals."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._totals[part] += time.perf_counter() - began

    def communicated(self, seconds: float) -> None:
        """Count communication that was timed elsewhere."""
        self._totals["communication"] += seconds

    def saw(self, images: int) -> None:
        """Count the images of a batch of this process; the others saw as many."""
        self._totals["images"] += images * self.world

    def lap(self, name: str) -> dict[str, float]:
        """End an interval and begin the next: seconds, images per second, shares of the time that waited.

        Args:
            name: of the interval.

        Returns:
            `images_per_second`, `data_share`, with several processes `communication_share`, and `seconds`.
        """
        before, now = self._marks[name], self._now()
        self._marks[name] = now
        passed = {part: now[part] - before[part] for part in now}
        seconds = max(passed["clock"] - passed["paused"], 1e-9)
        shares = ("data", "communication") if self.world > 1 else ("data",)
        return {
            "images_per_second": round(passed["images"] / seconds, 3),
            **{f"{part}_share": round(passed[part] / seconds, 4) for part in shares},
            "seconds": round(seconds, 3),
        }

    def _now(self) -> dict[str, float]:
        return {**self._totals, "clock": time.perf_counter()}


def describe_times(times: Mapping[str, float]) -> str:
    """Word what `Stopwatch.lap` gives."""
    shared = f", communication {times['communication_share']:.0%}" if "communication_share" in times else ""
    speed = times["images_per_second"]
    shown = f"{speed:.1f}" if speed >= 1 else f"{speed:.2g}"  # a large image on a CPU takes many seconds
    return f"{shown} images/s, waiting for data {times['data_share']:.0%}{shared}"
