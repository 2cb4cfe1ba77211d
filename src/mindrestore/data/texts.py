"""Read the lines of a list file, as editors of any system save it, and no more than a list can have."""

from __future__ import annotations

import codecs
import stat
from pathlib import Path

from mindrestore.data.locate import DatasetError

MOST_LINES = 500_000  # the longest published list has 313,950 rows
MOST_BYTES = 1 << 26

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class ListError(DatasetError):
    """Report a list of images that cannot be used: its name, the line and the fix."""


def read_lines(path: Path) -> list[str]:
    """Read a text in UTF-8, or in UTF-16 with the mark that Windows programs put in front.

    Args:
        path: The file.

    Returns:
        Its lines without their ends.

    Raises:
        ListError: If it is missing, not a file, not such a text, or longer than a list can be.
    """
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):  # a device or a pipe would never end
            raise ListError(f"{path}: not a file; name the path of a list")
        if facts.st_size > MOST_BYTES:
            raise ListError(
                f"{path}: {facts.st_size / 1e6:.0f} MB are more than a list can have ({MOST_BYTES / 1e6:.0f} MB); is "
                "this the list?"
            )
        data = path.read_bytes()
    except OSError as error:
        raise ListError(f"{path}: cannot be read ({error.strerror or error}); check the path of the list") from error
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ListError(f"{path}: not a text in UTF-8 ({error.reason}); save the list as UTF-8") from error
    if "\0" in text:
        raise ListError(
            f"{path}: not a text in UTF-8 (it holds zeros, as UTF-16 and UTF-32 do); save the list as UTF-8"
        )
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        raise ListError(f"{path}: {len(lines)} lines are more than a list can have ({MOST_LINES}); split or shorten it")
    return lines
