"""MD5 checksums of files, whole and in parts, as object stores compute them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import BinaryIO

MIB = 1 << 20
_BLOCK = 4 * MIB
_MOST_PARTS = 9000  # stores take 10,000
_USUAL_PARTS = tuple(n * MIB for n in (5, 8, 9, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128))
_PLAIN = re.compile(r"[0-9a-f]{32}")
_OF_PARTS = re.compile(r"([0-9a-f]{32})-([0-9]+)")


def part_size_for(size: int, wanted: int) -> int:
    """Return the size of the parts in which a file is sent: as wanted, or larger where that were too many parts."""
    least = -(-size // _MOST_PARTS)
    return max(wanted, -(-least // MIB) * MIB)


def read_block(stream: BinaryIO, start: int, length: int) -> bytes:
    """Read a part of an open file."""
    stream.seek(start)
    return stream.read(length)


def etag_of(stream: BinaryIO, size: int, part: int) -> str:
    """Compute what a store answers for a file: its MD5, or that of its parts' when there are several.

    Args:
        stream: The open file.
        size: How many bytes of it count; a log may grow meanwhile.
        part: Bytes of a part.

    Returns:
        Hexadecimal digits, with `-N` behind them for N parts.
    """
    if size <= part:
        return _md5(stream, 0, size).hexdigest()
    starts = range(0, size, part)
    digests = b"".join(_md5(stream, start, min(part, size - start)).digest() for start in starts)
    return f"{hashlib.md5(digests).hexdigest()}-{len(starts)}"


def matches(path: Path, size: int, etag: str, part: int = 0) -> bool | None:
    """Compare a file with a store's checksum.

    Args:
        path: The file.
        size: Bytes of the object.
        etag: The store's checksum.
        part: Bytes of its parts where that is known; otherwise the usual sizes are tried.

    Returns:
        Whether it is the same; None when the checksum cannot tell (parts of unknown size, no MD5 at all).
    """
    if path.stat().st_size != size:
        return False
    with path.open("rb") as stream:
        if _PLAIN.fullmatch(etag):
            return etag_of(stream, size, max(size, 1)) == etag
        found = _OF_PARTS.fullmatch(etag)
        if not found:
            return None
        if part:
            return etag_of(stream, size, part) == etag
        same = any(etag_of(stream, size, guess) == etag for guess in _guesses(size, int(found[2])))
        return True if same else None


def _guesses(size: int, count: int) -> list[int]:
    """List sizes of which `count` parts make up the file."""
    even = -(-size // max(count, 1))
    every = {-(-even // MIB) * MIB, *_USUAL_PARTS}
    return sorted(part for part in every if -(-size // part) == count)


def _md5(stream: BinaryIO, start: int, length: int) -> hashlib._Hash:
    digest = hashlib.md5()
    stream.seek(start)
    while length > 0:
        block = stream.read(min(length, _BLOCK))
        if not block:
            break
        digest.update(block)
        length -= len(block)
    return digest
