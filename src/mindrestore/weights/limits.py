"""What reading a weight file may cost: declared sizes are compared with the file before anything is allocated."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

BFLOAT16 = "bfloat16"  # NumPy has none; values are widened to float32
UNREAD = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float4_e2m1fn_x2")

_MOST_AXES = 16
_MOST_VALUES = 1 << 62  # along one axis
_SPARE = 256 << 20  # bytes that even a small file may need beyond twice its size
_MEGABYTE = 1 << 20


class NotReadError(ValueError):
    """Report a file that may be sound, but is of a kind or size that is not read here; the message has the fix."""


class Budget:
    """The memory that the values of a file may take beyond the file itself, which is mapped.

    Args:
        size: Bytes of the file. Twice as many, and 256 MB, may be allocated: bfloat16 doubles when it is widened.
    """

    def __init__(self, size: int) -> None:
        self.left = self.whole = 2 * size + _SPARE

    def allocate(self, count: int) -> None:
        """Count bytes that are about to be allocated.

        Raises:
            NotReadError: They are more than the file may take.
        """
        self.left -= count
        if self.left < 0:
            raise NotReadError(
                f"its values unpack to more than {self.whole // _MEGABYTE} MB, out of proportion to it; save them "
                "again, uncompressed"
            )


def map_file(path: Path) -> memoryview:
    """Map a file that is not empty into memory: its bytes are read when they are used."""
    with path.open("rb") as stream:
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))


def count_values(shape: Sequence[int]) -> int:
    """Return how many values a tensor of a shape has.

    Raises:
        ValueError: No tensor has this shape: more than 16 axes, a side that is negative or beyond 2^62.
    """
    if len(shape) > _MOST_AXES:
        raise ValueError(f"a tensor of {len(shape)} axes, more than {_MOST_AXES}")
    if not all(type(side) is int and 0 <= side < _MOST_VALUES for side in shape):
        raise ValueError("a tensor of impossible shape")
    return math.prod(shape)


def values_of(raw: bytes | memoryview, dtype: str | np.dtype, budget: Budget) -> np.ndarray:
    """Return bytes as a row of numbers that the machine can compute with: a view wherever that is possible.

    Args:
        raw: Bytes of the file.
        dtype: NumPy's name of the stored type, or `bfloat16`. Values of the other byte order are turned round,
            bfloat16 becomes float32, and longdouble float64.
        budget: Pays for what is not a view.
    """
    if isinstance(dtype, str) and dtype == BFLOAT16:
        return _widened(np.frombuffer(raw, "<u2"), budget)
    if dtype in UNREAD:
        raise NotReadError(f"holds values of type {dtype}, which are not read here; save float32 or float16")
    stored = np.dtype(dtype)
    values = np.frombuffer(raw, stored)
    ready = np.dtype(np.float64) if stored.kind == "f" and stored.itemsize > 8 else stored.newbyteorder("=")
    if ready == stored:
        return values
    budget.allocate(values.size * ready.itemsize)
    return values.astype(ready)


def _widened(halves: np.ndarray, budget: Budget) -> np.ndarray:
    """Make float32 of bfloat16, its upper half."""
    budget.allocate(4 * halves.size)
    wide = halves.astype(np.uint32)
    wide <<= 16  # in place: no second copy
    return wide.view(np.float32)
