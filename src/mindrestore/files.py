"""Write files whole or not at all, and sort their names as people do; the ground floor that every room stands on."""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Union

from mindrestore.errors import MindRestoreError

PathLike = Union[str, "os.PathLike[str]"]


class WriteError(MindRestoreError):
    """A file that cannot be written: its name, the reason and the fix."""


def natural_key(text: str) -> tuple:
    """Return a sort key under which numbers inside a name count as numbers."""
    # re.split with a group alternates text and digits, so equal positions always hold equal types.
    return tuple(int(part) if place % 2 else part for place, part in enumerate(re.split(r"([0-9]+)", text)))


def write_bytes(path: PathLike, data: bytes) -> None:
    """Write a file in one step through a temporary neighbour.

    Args:
        path: Destination. Missing folders are made.
        data: Whole content.

    Raises:
        WriteError: If the folder cannot be written or the disk is full; nothing is left behind then.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def replacing(path: PathLike) -> Iterator[Path]:
    """Return a temporary name to write to; the file gets its real name when the block ends without an error.

    Args:
        path: Destination. Missing folders are made.

    Yields:
        Path of the temporary file, in the same folder.

    Raises:
        WriteError: If the folder cannot be written or the disk is full; nothing is left behind then.
    """
    path = Path(path)
    # Same folder, so that os.replace stays within one file system; process and thread make the name unique.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(f"{path}: {_explain_write(error)}") from error


def _explain_write(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space or choose another folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "no permission to write there; choose another folder or change its rights"
    return f"cannot be written ({error.strerror or error}); check the path"
