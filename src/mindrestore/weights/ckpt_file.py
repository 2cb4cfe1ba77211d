"""Read MindSpore's checkpoints without copying them.

A checkpoint is a row of protobuf messages, one per tensor: its name, and dims, type and bytes of its values. A tensor
beyond 512 MB comes in several. The word `crc_num` and the CRC-32 of everything before it may end the file. MindSpore's
own reader needs twice the file in memory; here it is mapped, and tensors are views of it.
"""

from __future__ import annotations

import os
import zlib
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mindrestore.weights.limits import BFLOAT16, Budget, count_values, map_file, values_of
from mindrestore.weights.wire import Steps, fields, varints

_VALUE = 1  # in Checkpoint
_TAG, _TENSOR = 1, 2  # in Value
_DIMS, _TYPE, _CONTENT = 1, 2, 3  # in TensorProto
_CRC_MARK, _CRC_BYTES = b"crc_num", 10
_DTYPES = {
    **{"Float64": "<f8", "Float32": "<f4", "Float16": "<f2", "Bool": "?"},
    **{"Int64": "<i8", "Int32": "<i4", "Int16": "<i2", "Int8": "i1"},
    **{"UInt64": "<u8", "UInt32": "<u4", "UInt16": "<u2", "UInt8": "u1", "BFloat16": BFLOAT16},
}
_TEXT = "str"
_LONGEST_NAME = 4096  # bytes


class _Part(NamedTuple):
    """One message: a tensor, or as much of it as one message may hold."""

    name: str
    kind: str
    dims: tuple[int, ...]
    content: memoryview


def read_ckpt_file(path: str | os.PathLike[str]) -> dict[str, np.ndarray | str]:
    """Read a checkpoint of MindSpore.

    Args:
        path: the file; not empty.

    Returns:
        Name -> read-only array, or text. bfloat16 becomes float32.

    Raises:
        ValueError: the file is damaged, encrypted, or holds something else than arrays and text.
        OSError: the file may not be read.
    """
    data = map_file(Path(path))
    reader = _Reader(Budget(len(data)))
    parts = (reader.part(value) for number, value in fields(_checked(data), reader.steps) if number == _VALUE)
    found = {name: reader.entry(name, list(group)) for name, group in groupby(parts, key=lambda part: part.name)}
    if not found:
        raise ValueError("it holds no tensor")
    return found


def _checked(data: memoryview) -> memoryview:
    """Return what the checksum covers after comparing it."""
    end = len(data) - len(_CRC_MARK) - _CRC_BYTES
    if end < 0 or data[end:-_CRC_BYTES] != _CRC_MARK:
        return data
    if zlib.crc32(data[:end]) != int.from_bytes(data[-_CRC_BYTES:], "big"):
        raise ValueError("its checksum is wrong")
    return data[:end]


class _Reader:
    """Read messages, within limits.

    Args:
        budget: pays for tensors in several parts and for bfloat16.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget, self.steps = budget, Steps()

    def part(self, value: memoryview | int) -> _Part:
        """Read one message of a checkpoint."""
        found = dict(fields(value, self.steps))
        name = _text(found.get(_TAG))
        if _TENSOR not in found:
            raise ValueError(f"{name!a} is not a tensor")
        dims, last = [], {}
        for number, field in fields(found[_TENSOR], self.steps):
            if number == _DIMS:
                dims += [field] if isinstance(field, int) else varints(field, self.steps)
            last[number] = field
        content = last.get(_CONTENT)
        if not isinstance(content, memoryview):
            raise ValueError(f"{name!a} has no values")
        return _Part(name, _text(last.get(_TYPE)), tuple(dims), content)

    def entry(self, name: str, parts: list[_Part]) -> np.ndarray | str:
        """Join the parts of a tensor."""
        kind, dims, raw = parts[-1].kind, parts[-1].dims, parts[0].content
        if len(parts) > 1:
            self.budget.allocate(sum(len(part.content) for part in parts))
            raw = memoryview(b"".join(part.content for part in parts))
        if kind == _TEXT:
            self.budget.allocate(2 * len(raw))
            return bytes(raw).decode("utf-32-le").rstrip("\0")
        if kind not in _DTYPES:
            raise ValueError(f"{name!a} is of type {kind!a:.40}")
        itemsize = 2 if _DTYPES[kind] == BFLOAT16 else np.dtype(_DTYPES[kind]).itemsize
        shape = () if dims == (0,) else dims  # how MindSpore writes a single number
        if count_values(shape) * itemsize != len(raw):
            raise ValueError(f"{name!a} has {len(raw)} bytes, which do not make {shape} of {kind}")
        return values_of(raw, _DTYPES[kind], self.budget).reshape(shape)


def _text(field: memoryview | int | None) -> str:
    if not isinstance(field, memoryview):
        raise ValueError("a tensor without name or type")
    if len(field) > _LONGEST_NAME:
        raise ValueError(f"a name of {len(field)} bytes, more than {_LONGEST_NAME}")
    return bytes(field).decode()
