"""Read zip archives as PyTorch and NumPy write them: members are views of the file wherever they are not compressed.

Python's own reader believes what an archive says about itself: a small one may unpack to any size, name the same bytes
a thousand times, or list millions of members.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from mindrestore.weights.limits import Budget, NotReadError

MAGIC = b"PK\x03\x04"

_END, _ENTRY = b"PK\x05\x06", b"PK\x01\x02"
_LOCATOR_64, _END_64 = b"PK\x06\x07", b"PK\x06\x06"
_END_FORM, _ENTRY_FORM, _END_64_FORM = struct.Struct("<4H2LH"), struct.Struct("<6H3L5H2L"), struct.Struct("<Q2H2L4Q")
_LONGEST_COMMENT = 65535
_LONGEST_DIRECTORY = 8 << 20  # bytes, some 80,000 members: a second
_FULL = 0xFFFFFFFF  # a number that did not fit, and follows in 64 bits
_STORED, _DEFLATED = 0, 8
_BLOCK = 1 << 18


class _Member(NamedTuple):
    encrypted: bool
    method: int
    checksum: int
    packed: int
    size: int
    start: int


class Archive:
    """The members of a zip archive.

    Args:
        data: The whole file.
        budget: Pays for members that are compressed; None refuses them.

    Raises:
        ValueError: It is not an archive, is damaged, or its members overlap.
    """

    def __init__(self, data: memoryview, budget: Budget | None = None) -> None:
        self.data, self.budget, self.members = data, budget, _members(data)

    def read(self, name: str) -> memoryview:
        """Return the bytes of a member after comparing their checksum.

        Raises:
            ValueError: There is no such member, or it is damaged.
            NotReadError: It is encrypted or packed in an unusual way.
        """
        if name not in self.members:
            raise ValueError(f"no member {name!a}")
        member = self.members[name]
        if member.encrypted:
            raise NotReadError(f"{name!a} is encrypted; save it again without a password")
        header = self.data[member.start : member.start + 30]
        if header[:4] != MAGIC or len(header) < 30:
            raise ValueError(f"no header of {name!a}")
        start = member.start + 30 + sum(struct.unpack("<HH", header[26:30]))
        content = self.data[start : start + member.packed]
        if len(content) != member.packed:
            raise ValueError(f"{name!a} was cut")
        if member.method == _DEFLATED and self.budget:
            self.budget.allocate(member.size)
            content = _inflated(content, member.size, name)
        elif member.method != _STORED:
            raise NotReadError(f"{name!a} is compressed (method {member.method}); save it again, uncompressed")
        # PyTorch writes 0 when it is told to save time
        if len(content) != member.size or (member.checksum and zlib.crc32(content) != member.checksum):
            raise ValueError(f"the checksum of {name!a} is wrong")
        return content


def _members(data: memoryview) -> dict[str, _Member]:
    """Read the central directory, which ends the file."""
    start, size = _directory(data)
    if size > _LONGEST_DIRECTORY:
        raise ValueError(f"a directory of {size} bytes, more than {_LONGEST_DIRECTORY}")
    if start + size > len(data):
        raise ValueError("its directory is missing")
    directory, position, members, total = data[start : start + size], 0, {}, 0
    while position < size:
        if directory[position : position + 4] != _ENTRY or position + 46 > size:
            raise ValueError("its directory is damaged")
        fields = _ENTRY_FORM.unpack(directory[position + 4 : position + 46])
        flags, method, checksum, (packed, full) = fields[2], fields[3], fields[6], fields[7:9]
        name_end = position + 46 + fields[9]
        extra_end = name_end + fields[10]
        name = bytes(directory[position + 46 : name_end]).decode("utf-8" if flags & 0x800 else "cp437")
        numbers = _long_numbers((full, packed, fields[15]), directory[name_end:extra_end])
        members[name] = _Member(bool(flags & 1), method, checksum, numbers[1], numbers[0], numbers[2])
        total += numbers[1]
        position = extra_end + fields[11]
    if total > len(data):
        raise ValueError("members that unpack to more than the file")
    return members


def _directory(data: memoryview) -> tuple[int, int]:
    """Find where the central directory begins, and its size."""
    tail = bytes(data[-_END_FORM.size - 4 - _LONGEST_COMMENT :])
    place = tail.rfind(_END)
    if place < 0 or place + 4 + _END_FORM.size > len(tail):
        raise ValueError("an archive without end, or the file was cut")
    *_, size, start, _ = _END_FORM.unpack_from(tail, place + 4)
    locator = len(data) - len(tail) + place - 20
    if locator >= 0 and data[locator : locator + 4] == _LOCATOR_64:
        (end,) = struct.unpack("<Q", data[locator + 8 : locator + 16])
        record = data[end : end + 4 + _END_64_FORM.size]
        if record[:4] != _END_64 or len(record) < 4 + _END_64_FORM.size:
            raise ValueError("an archive without end, or the file was cut")
        *_, size, start = _END_64_FORM.unpack(record[4:])
    return start, size


def _long_numbers(numbers: tuple[int, ...], extra: memoryview) -> list[int]:
    """Replace those numbers of a member that did not fit into 32 bits."""
    found, position = list(numbers), 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack("<HH", extra[position : position + 4])
        if kind == 1:
            wide = iter(struct.unpack(f"<{length // 8}Q", extra[position + 4 : position + 4 + length // 8 * 8]))
            found = [next(wide, number) if number == _FULL else number for number in found]
        position += 4 + length
    return found


def _inflated(packed: memoryview, size: int, name: str) -> memoryview:
    """Unpack to a size that is known, and never beyond."""
    content, filled, stream = bytearray(size), 0, zlib.decompressobj(-zlib.MAX_WBITS)
    for start in range(0, len(packed), _BLOCK):
        pending = bytes(packed[start : start + _BLOCK])
        while True:
            piece = stream.decompress(pending, 4 * _BLOCK)
            if filled + len(piece) > size:
                raise ValueError(f"{name!a} unpacks to more than it says")
            content[filled : filled + len(piece)] = piece
            filled, pending = filled + len(piece), stream.unconsumed_tail
            if not pending and len(piece) < 4 * _BLOCK:
                break
    if filled != size:
        raise ValueError(f"{name!a} unpacks to less than it says")
    return memoryview(content).toreadonly()
