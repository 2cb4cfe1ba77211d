"""How fast the networks were with earlier images, to say how long the next one takes."""

from __future__ import annotations

from collections.abc import Sequence

from mindrestore.serve.jobs import WAITING, Job


class Pace:
    """Remember the seconds per pixel of every chain of networks, as the last image took them."""

    def __init__(self) -> None:
        self._seconds_per_pixel: dict[tuple[str, ...], float] = {}

    def note(self, job: Job) -> None:
        """Take the time of a job that is done."""
        self._seconds_per_pixel[job.networks] = job.facts["seconds"] / _pixels(job)

    def expected(self, job: Job) -> float | None:
        """Return how long the networks will take for a job (seconds); None: they have restored nothing so far."""
        pace = self._seconds_per_pixel.get(job.networks)
        return None if pace is None else pace * _pixels(job)

    def seconds_left(self, job: Job, before: Sequence[Job]) -> float | None:
        """Estimate when a job is done.

        Args:
            job: A job that waits or works.
            before: Jobs that come before it, the one in work among them.

        Returns:
            Seconds; None while too little is known.
        """
        ahead = [job, *before] if job.state == WAITING else [job]
        times = [each.seconds_left(self.expected(each)) for each in ahead]
        return None if None in times else sum(times)


def _pixels(job: Job) -> int:
    return max(job.upload.width * job.upload.height, 1)
