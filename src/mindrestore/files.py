"""Write files whole or not at all, and sort their names as people do; the ground floor that every room stands on."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

from mindrestore.errors import MindRestoreError

PathLike = Union[str, "os.PathLike[str]"]


_COUNT = itertools.count()
_LONGEST_TEXT = 1 << 26  # bytes


class WriteError(MindRestoreError):
    """A file that cannot be written: its name, the reason and the fix."""


def cache_folder() -> Path:
    """Return the folder for what can be made or loaded again: $MINDRESTORE_CACHE, else `~/.cache/mindrestore`."""
    return Path(os.environ.get("MINDRESTORE_CACHE") or Path.home() / ".cache" / "mindrestore")


def natural_key(text: str) -> tuple:
    """Return a sort key under which numbers inside a name count as numbers."""
    # re.split with a group alternates text and digits, so equal positions always hold equal types.
    return tuple(int(part) if place % 2 else part for place, part in enumerate(re.split(r"([0-9]+)", text)))


def read_text(path: PathLike, encoding: str = "utf-8") -> str:
    """Read a text that somebody else may have written: a device or a pipe would never end.

    Raises:
        OSError: It cannot be read, is not a file, or is longer than 64 MB.
        UnicodeDecodeError: It is not in this encoding.
    """
    facts = os.stat(path)
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "not a file", os.fspath(path))
    if facts.st_size > _LONGEST_TEXT:
        raise OSError(errno.EFBIG, f"{facts.st_size >> 20} MB, more than such a file can have", os.fspath(path))
    return Path(path).read_text(encoding=encoding)


def read_json(path: PathLike) -> Any:
    """Read a JSON file.

    Raises:
        OSError: As `read_text`.
        ValueError: It is not JSON, or lists lie in each other beyond all measure.
    """
    try:
        return json.loads(read_text(path))
    except RecursionError:
        raise ValueError("lists in each other too deep to be read") from None


def parse_yaml(text: str) -> Any:
    """Parse YAML by the quick parser where PyYAML was built with it; recipes, which people write, have a stricter one.

    Raises:
        yaml.YAMLError: It is not YAML, or holds more than plain values.
    """
    import yaml  # commands that read none need not wait for it

    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


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


def write_text(path: PathLike, text: str) -> None:
    """Write a text in UTF-8 in one step.

    Args:
        path: Destination. Missing folders are made.
        text: Whole content; bytes of a file name that are not UTF-8 become `\\udcXX`, which JSON reads back.

    Raises:
        WriteError: If the folder cannot be written or the disk is full; nothing is left behind then.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


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
    # Same folder, so that os.replace stays within one file system. The name is short, as that of the file may be as
    # long as the system allows; process, thread and count make it unique.
    temporary = path.with_name(f".{os.getpid()}.{threading.get_ident()}.{next(_COUNT)}.tmp")
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
        return "no permission to write there; choose another folder or change its permissions"
    if error.errno == errno.ENAMETOOLONG:
        return "the name is too long for this file system; use a shorter one for the input"
    return f"cannot be written ({error.strerror or error}); check the path"
