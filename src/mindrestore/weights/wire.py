"""Walk through protobuf messages without their schema: checkpoints of MindSpore and ONNX files are such messages."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mindrestore.weights.limits import NotReadError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # how protobuf writes a field
_FIXED = {_FIXED64: 8, _FIXED32: 4}  # bytes


class Steps:
    """The fields that a file may have: each costs time and memory, whatever its size.

    Args:
        most: Number of fields and numbers; a tensor has a dozen, and half a million take two seconds.
    """

    def __init__(self, most: int = 500_000) -> None:
        self.most = self.left = most

    def count(self) -> None:
        """Count one.

        Raises:
            NotReadError: There are more.
        """
        self.left -= 1
        if self.left < 0:
            raise NotReadError(f"has more than {self.most:,} fields, which no network needs; save the weights alone")


def fields(data: memoryview | int | None, steps: Steps) -> Iterator[tuple[int, memoryview | int]]:
    """Return number and value of every field of a message.

    Args:
        data: The message; views of it are returned, nothing is copied.
        steps: Counts what the whole file has.

    Yields:
        Number of the field, and a whole number, or the bytes of text, of numbers or of another message.

    Raises:
        ValueError: It is not a message, was cut, or has too many fields.
    """
    if not isinstance(data, memoryview):
        raise ValueError("a number instead of a message")
    position = 0
    while position < len(data):
        steps.count()
        key, position = _varint(data, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _varint(data, position)
            yield key >> 3, value
            continue
        length = _FIXED.get(kind)
        if kind == _BYTES:
            length, position = _varint(data, position)
        if length is None or position + length > len(data):
            raise ValueError(f"no message at byte {position}, or the file was cut")
        yield key >> 3, data[position : position + length]
        position += length


def varints(data: memoryview, steps: Steps) -> Iterator[int]:
    """Return the numbers of a packed field.

    Raises:
        ValueError: It was cut, or has too many numbers.
    """
    position = 0
    while position < len(data):
        steps.count()
        number, position = _varint(data, position)
        yield number


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """Read a number of seven bits per byte, the lowest first; return it and where the next one begins."""
    number = 0
    for shift in range(0, 64, 7):
        if position >= len(data):
            break
        byte, position = data[position], position + 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, position
    raise ValueError("a number that does not end")


def field(number: int, value: int | float | str | bytes) -> bytes:
    """Write one field of a message.

    Args:
        number: Number of the field.
        value: A whole number; a number of 32 bits with a point; or text, bytes or another message.

    Returns:
        Its bytes; a message is its fields, one after the other.
    """
    if isinstance(value, float):
        return _number(number << 3 | _FIXED32) + struct.pack("<f", value)
    if isinstance(value, int):
        return _number(number << 3 | _VARINT) + _number(value)
    content = value.encode() if isinstance(value, str) else value
    return _number(number << 3 | _BYTES) + _number(len(content)) + content


def _number(value: int) -> bytes:
    """Write a whole number in seven bits per byte; a negative one as its complement of 64 bits."""
    value &= (1 << 64) - 1
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)
