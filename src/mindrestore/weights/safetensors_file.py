"""Read safetensors files: a length, a JSON text that names type, shape and place of every tensor, and the values."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mindrestore.weights.limits import BFLOAT16, Budget, NotReadError, count_values, map_file, values_of

_LENGTH = 8  # bytes of the first number
_LONGEST_HEADER = 16 << 20  # bytes, some 150,000 tensors: a second
_FACTS = "__metadata__"
_DTYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": BFLOAT16, "BOOL": "?", "C64": "<c8"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1"},
}


def is_safetensors(head: bytes) -> bool:
    """Return whether the first bytes of a file are those of this format."""
    return len(head) > _LENGTH and head[_LENGTH : _LENGTH + 1] == b"{" and head[_LENGTH - 2 : _LENGTH] == b"\0\0"


def read_safetensors_file(path: str | os.PathLike[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Read the tensors of a file one by one.

    Args:
        path: .safetensors file, not empty.

    Yields:
        Name and read-only array, a view of the file; bfloat16 becomes float32.

    Raises:
        ValueError: The file is damaged, or a tensor is of a type that NumPy does not have, such as F8_E4M3.
        OSError: The file may not be read.
    """
    data = map_file(Path(path))
    budget, start = Budget(len(data)), _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    if len(data) < _LENGTH or start > len(data):
        raise ValueError("its header was cut")
    if start > _LONGEST_HEADER:
        raise ValueError(f"a header of {start - _LENGTH} bytes, more than {_LONGEST_HEADER}")
    try:
        tensors = json.loads(bytes(data[_LENGTH:start]))
    except RecursionError as error:
        raise ValueError("its header is nested too deeply") from error
    if not isinstance(tensors, dict):
        raise ValueError("its header names no tensors")
    tensors.pop(_FACTS, None)
    values, end = data[start:], 0
    for name, facts in sorted(tensors.items(), key=lambda entry: _place(*entry)):
        first, last = _place(name, facts)
        if first != end:  # as the format demands: nothing overlaps, nothing is left out
            raise ValueError(f"the values of {name[:80]!a} do not follow those before them")
        yield name, _tensor(name, facts, values[first:last], budget)
        end = last
    if end != len(values):
        raise ValueError(f"{len(values)} bytes of values instead of {end}")


def _place(name: str, facts: Any) -> tuple[int, int]:
    place = facts.get("data_offsets") if isinstance(facts, Mapping) else None
    if not (isinstance(place, list) and len(place) == 2 and all(type(number) is int for number in place)):
        raise ValueError(f"its header does not say where {name[:80]!a} lies")
    if not 0 <= place[0] <= place[1]:
        raise ValueError(f"{name[:80]!a} ends before it begins")
    return place[0], place[1]


def _tensor(name: str, facts: Mapping[str, Any], raw: memoryview, budget: Budget) -> np.ndarray:
    kind, shape = facts.get("dtype"), facts.get("shape")
    if not isinstance(kind, str) or kind not in _DTYPES:
        raise NotReadError(f"{name[:80]!a} is of type {str(kind)[:40]!a}, which is not read; save it as F32 or F16")
    if not isinstance(shape, list):
        raise ValueError(f"{name[:80]!a} has no shape")
    itemsize = 2 if _DTYPES[kind] == BFLOAT16 else np.dtype(_DTYPES[kind]).itemsize
    if count_values(shape) * itemsize != len(raw):
        raise ValueError(f"{name[:80]!a} has {len(raw)} bytes, which do not make {shape} of {kind}")
    return values_of(raw, _DTYPES[kind], budget).reshape(shape)
