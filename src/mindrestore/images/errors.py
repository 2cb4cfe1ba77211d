"""The error of every image file that cannot be read or written."""

from __future__ import annotations

from mindrestore.errors import MindRestoreError


class ImageError(MindRestoreError):
    """Report an image file that cannot be read or written, with its name, the reason and the fix."""

    several_lines = False
