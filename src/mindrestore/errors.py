"""The root of every error that a user can cause and mend."""

from __future__ import annotations


class MindRestoreError(Exception):
    """Report a problem that the user can mend; the message names the file, the value and the fix.

    Every error that bad input can cause derives from this class, so that the command line prints one clear line
    and ends with exit code 2 instead of a traceback.

    Example:
        >>> raise MindRestoreError("photo.png: the file is empty; copy it again")
        Traceback (most recent call last):
        mindrestore.errors.MindRestoreError: photo.png: the file is empty; copy it again
    """
