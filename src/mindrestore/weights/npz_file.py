"""Read NumPy's archives of arrays without NumPy's own reader, which allocates whatever a header asks for."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mindrestore.weights.archive import Archive
from mindrestore.weights.limits import Budget, NotReadError, count_values, map_file, values_of

_MAGIC = b"\x93NUMPY"
_SUFFIX = ".npy"
_LONGEST_HEADER = 2048  # bytes: deeply nested text of more could end the process
_NUMBERS, _TEXTS = "fiubc", "US"


def read_npz_file(path: str | os.PathLike[str]) -> Iterator[tuple[str, Any]]:
    """Read the arrays of an archive one by one.

    Args:
        path: .npz file, not empty; compressed or not.

    Yields:
        Name and array: a read-only view of the file wherever it is not compressed, in the byte order of the machine.
        Longdouble becomes float64, a single text `str`.

    Raises:
        ValueError: The file is damaged, encrypted, holds Python objects, or unpacks to far more than its size.
        OSError: The file may not be read.
    """
    data = map_file(Path(path))
    budget = Budget(len(data))
    archive = Archive(data, budget)
    names = [name for name in archive.members if name.endswith(_SUFFIX)]
    if not names:
        raise ValueError("holds no arrays")
    for name in names:
        yield name[: -len(_SUFFIX)], _array(archive.read(name), name, budget)


def _array(content: memoryview, name: str, budget: Budget) -> Any:
    """Read one array: magic, version, length of the header, header, values."""
    major = content[6] if len(content) > 6 else 0
    if content[:6] != _MAGIC or major not in (1, 2, 3):
        raise ValueError(f"{name!a} is not an array of NumPy")
    start = 10 if major == 1 else 12
    end = start + int.from_bytes(content[8:start], "little")
    if end > min(len(content), start + _LONGEST_HEADER):
        raise ValueError(f"{name!a} has a header of {end - start} bytes, which was cut or is too long")
    descr, shape, fortran = _header(bytes(content[start:end]), name)
    count, stored = count_values(shape), np.dtype(descr)
    if count * stored.itemsize != len(content) - end:
        raise ValueError(f"{name!a} has {len(content) - end} bytes, which do not make {shape} of {descr}")
    if stored.kind in _TEXTS:
        texts = np.frombuffer(content[end:], stored) if stored.itemsize else np.zeros(count, stored)
        return str(texts[0]) if shape == () else texts.reshape(shape)
    return values_of(content[end:], stored, budget).reshape(shape, order="F" if fortran else "C")


def _header(text: bytes, name: str) -> tuple[str, tuple[int, ...], bool]:
    """Return type, shape and whether the first axis runs fastest."""
    try:
        facts = ast.literal_eval(text.decode("latin-1").strip())
        descr, shape, fortran = facts["descr"], facts["shape"], facts["fortran_order"]
        kind = np.dtype(descr).kind if isinstance(descr, str) and len(descr) <= 16 else ""
    except (SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise ValueError(f"the header of {name!a} is damaged") from error
    if kind == "O":
        raise NotReadError(f"{name!a} holds Python objects, which are not read; save arrays of numbers")
    if not kind or kind not in _NUMBERS + _TEXTS or not isinstance(shape, tuple):
        raise NotReadError(f"{name!a} is of type {str(descr)[:40]!a}; save arrays of numbers")
    return descr, shape, bool(fortran)
