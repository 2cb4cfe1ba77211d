"""Send several results as one zip file, without making it on the disk or in memory first."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

_PIECE = 1 << 20  # bytes


def stream_zip(files: Sequence[tuple[str, Path]]) -> Iterator[bytes]:
    """Open files and return their zip archive piece by piece; pictures are stored as they are.

    Args:
        files: Name in the archive and path of every file; a name that comes again gets a number.

    Returns:
        The bytes of the archive.

    Raises:
        OSError: One of the files cannot be opened; nothing is sent then.
    """
    opened: list[tuple[str, BinaryIO]] = []
    for name, path in files:  # all of them now: what is removed while the archive is sent stays readable
        opened.append((_free_name(name, [other for other, _ in opened]), path.open("rb")))
    return _pieces(opened)


def _pieces(opened: Sequence[tuple[str, BinaryIO]]) -> Iterator[bytes]:
    now, sink = time.localtime()[:6], _Sink()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, stream in opened:
            with stream, archive.open(zipfile.ZipInfo(name, now), "w") as entry:
                for piece in iter(lambda stream=stream: stream.read(_PIECE), b""):
                    entry.write(piece)
                    yield sink.taken()
    yield sink.taken()


def _free_name(name: str, others: Sequence[str]) -> str:
    stem, _, suffix = name.rpartition(".")
    number, free = 1, name
    while free in others:
        number += 1
        free = f"{stem} ({number}).{suffix}"
    return free


class _Sink(io.RawIOBase):
    """Keep what is written until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        piece, self._written = bytes(self._written), bytearray()
        return piece
