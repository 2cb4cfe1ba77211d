"""What the server takes on, and the errors that say no; every one has an HTTP status."""

from __future__ import annotations

import errno
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
        max_arriving: Most images that are being sent at one time.
        max_requests: Most requests that are being answered at one time.
        silence: How long a client may send nothing in the middle of a request (seconds).
        least_rate: Slowest client beyond that time, on average over the request (bytes per second).
    """

    max_bytes: int = 50_000_000
    max_pixels: int = 50_000_000
    max_waiting: int = 20
    keep_seconds: float = 1800.0
    max_kept: int = 100
    max_arriving: int = 16
    max_requests: int = 64
    silence: float = 20.0
    least_rate: float = 4096.0


class ServeError(MindRestoreError):
    """Report a request that cannot be served.

    Args:
        message: One line for people.
        kind: Word for programs, more exact than that of the class.

    Attributes:
        status: HTTP status of the answer.
    """

    status = 400
    kind = "bad_request"

    def __init__(self, message: str, kind: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind or self.kind


class ForbiddenError(ServeError):
    """Report a request from a foreign page or under a foreign name."""

    status = 403
    kind = "forbidden"


class UnknownJobError(ServeError):
    """Report a job that never was, or whose files are removed."""

    status = 404
    kind = "unknown_job"


class SlowError(ServeError):
    """Report a client that stopped in the middle of its request, or sends it too slowly."""

    status = 408
    kind = "too_slow"


class UnfinishedError(ServeError):
    """Report a result that is asked for too early, or a job that cannot be tried again."""

    status = 409
    kind = "unfinished"


class TooLargeError(ServeError):
    """Report an image with too many bytes or pixels."""

    status = 413
    kind = "too_large"


class UnsupportedTypeError(ServeError):
    """Report a file or request of a kind that is not taken."""

    status = 415
    kind = "unsupported_type"


class UnrestoredError(ServeError):
    """Report an image or a choice that cannot be restored: damaged, several pictures, no weights for the task."""

    status = 422
    kind = "unrestored"


class WorkerError(ServeError):
    """Report that the process of the networks ended in the middle of its work."""

    status = 500
    kind = "worker_ended"


class MemoryShortError(ServeError):
    """Report that memory ran out, which another try may find."""

    status = 500
    kind = "no_memory"


class BusyError(ServeError):
    """Report that the server does as much as it can, or is ending."""

    status = 503
    kind = "busy"


class StorageError(ServeError):
    """Report that the temporary folder cannot be used at the moment."""

    status = 503
    kind = "no_storage"


class StorageFullError(StorageError):
    """Report that the disk of the temporary folder is full."""

    status = 507
    kind = "storage_full"


def storage_error(error: OSError) -> StorageError:
    """Make the error for a file operation that failed; a client learns the reason, and no folder of the machine."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFullError(
            "the disk with the temporary folder of the server is full; free some space there, then try again"
        )
    return StorageError(
        f"the temporary folder of the server cannot be used ({error.strerror or type(error).__name__}); create it "
        "again or change its permissions, then try again"
    )
