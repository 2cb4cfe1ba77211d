"""What the server takes on, and the errors that say no; every one has an HTTP status."""

from __future__ import annotations

from dataclasses import dataclass

from mindrestore.errors import MindRestoreError


@dataclass(frozen=True)
class Limits:
    """Bound what one server takes on.

    Attributes:
        max_bytes: Largest image file (bytes).
        max_pixels: Most pixels of an image, width times height.
        max_waiting: Most jobs that wait behind the one in work.
        keep_seconds: How long a finished job and its files are kept (seconds).
        max_kept: Most finished jobs that are kept; the oldest go first.
    """

    max_bytes: int = 50_000_000
    max_pixels: int = 50_000_000
    max_waiting: int = 8
    keep_seconds: float = 1800.0
    max_kept: int = 50


class ServeError(MindRestoreError):
    """Report a request that cannot be served; `status` is the HTTP status of the answer."""

    status = 400


class ForbiddenError(ServeError):
    """Report a request from a foreign page or under a foreign name."""

    status = 403


class UnknownJobError(ServeError):
    """Report a job that never was, or whose files are removed."""

    status = 404


class UnfinishedError(ServeError):
    """Report a result that is asked for too early."""

    status = 409


class TooLargeError(ServeError):
    """Report an image with too many bytes or pixels."""

    status = 413


class UnsupportedTypeError(ServeError):
    """Report a file or request of a kind that is not taken."""

    status = 415


class UnrestoredError(ServeError):
    """Report an image or a choice that cannot be restored: damaged, several pictures, no weights for the task."""

    status = 422


class WorkerError(ServeError):
    """Report that the process of the networks ended in the middle of its work."""

    status = 500


class QueueFullError(ServeError):
    """Report that too many jobs wait, or that the server is ending."""

    status = 503
