"""Which releases of MindSpore are accepted."""

from __future__ import annotations

from mindrestore.errors import MindRestoreError

ACCEPTED = ("2.8", "2.9", "2.10")


class ReleaseError(MindRestoreError):
    """Report a MindSpore that is not accepted."""


def require_release(version: str) -> None:
    """Refuse releases with which trained networks could not be used.

    Args:
        version: What MindSpore calls itself, such as 2.8.0.

    Raises:
        ReleaseError: It is not accepted; the message says why.
    """
    parts = version.split(".")
    if ".".join(parts[:2]) in ACCEPTED:
        return
    known = [int(part) if part.isdigit() else 0 for part in parts[:2]]
    older = known < [int(part) for part in ACCEPTED[0].split(".")]
    why = "does not read the .ckpt of a run that 2.8 wrote, and fails on export" if older else "was not tried"
    taken = f"MindSpore {ACCEPTED[0]} to {ACCEPTED[-1]} is accepted"
    raise ReleaseError(f"MindSpore {version} {why}; {taken}: pip install mindspore==2.8.0")
