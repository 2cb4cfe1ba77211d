"""Read files of PyTorch and PaddlePaddle without either, and without running anything they hold.

PyTorch has two formats. Since 1.6 a file is a zip archive of uncompressed members: `data.pkl`, a pickle in which
tensors point to storages, and one member per storage. Before, it was one stream: magic number, version, facts about
the machine, the pickle, the names of the storages, the storages. PaddlePaddle pickles NumPy arrays. The file is mapped
into memory: tensors are views of it, and only what is used is read.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mindrestore.errors import first_line
from mindrestore.weights.archive import MAGIC, Archive
from mindrestore.weights.errors import WeightFileError
from mindrestore.weights.limits import BFLOAT16, UNREAD, Budget, NotReadError, count_values, map_file, values_of
from mindrestore.weights.pickles import ForbiddenGlobal, Machine
from mindrestore.weights.torch_names import known_names

_MAGIC, _LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001
_MAX_REPEATED = 1 << 20  # values of a tensor that repeats those of its storage
_DAMAGE = (
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, MemoryError),
    *(RecursionError, EOFError, struct.error, zlib.error),
)


def read_torch_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a file of `torch.save` or `paddle.save`, or a pickled dict of NumPy arrays.

    Only data can come out: names in the file that stand for anything else are refused, and what they stand for is
    neither imported nor called. Arrays are read-only views of the file, bfloat16 becomes float32.

    Args:
        path: file of any suffix; the content decides.

    Returns:
        The dict in the file as it is, nested or not; arrays under the names they were saved with.

    Raises:
        WeightFileError: the file is damaged, holds something else than a dict, or asks for a forbidden name.
        OSError: the file is not there or may not be read.
    """
    path = Path(path)
    try:
        data = map_file(path)
        content = _Archive(data).read() if data[:4] == MAGIC else _Stream(data).read()
    except ForbiddenGlobal as error:
        raise WeightFileError(
            f"{path}: asks for {ascii(str(error))[1:-1][:100]}, which no set of weights needs; nothing of it was run. "
            "If you trust the file, load it where it was made and save its state_dict alone"
        ) from error
    except NotReadError as error:
        raise WeightFileError(f"{path}: {error}") from error
    except _DAMAGE as error:
        raise WeightFileError(f"{path}: damaged or not a weight file ({first_line(error)}); get it again") from error
    if not isinstance(content, dict):
        raise WeightFileError(f"{path}: holds {type(content).__name__} instead of named tensors; save a state_dict")
    return {str(name): value for name, value in content.items()}


class _Archive:
    """Read the zip format."""

    def __init__(self, data: memoryview) -> None:
        self.budget = Budget(len(data))
        self.archive = Archive(data)
        members = self.archive.members
        if "constants.pkl" in {name.rpartition("/")[2] for name in members}:
            raise ValueError("a TorchScript program; save its state_dict")
        pickles = [name for name in members if name.rpartition("/")[2] == "data.pkl" and name.count("/") < 2]
        if len(pickles) != 1:
            raise ValueError(f"{len(pickles)} members data.pkl instead of one")
        self.folder = pickles[0][: -len("data.pkl")]
        order = f"{self.folder}byteorder"
        self.swapped = order in members and bytes(self.archive.read(order)) == b"big"
        self.storages: dict[str, _Storage] = {}

    def read(self) -> Any:
        """Run the pickle."""
        pickle = self.archive.read(f"{self.folder}data.pkl")
        return Machine(pickle, known_names(self.budget), self.storage).run()

    def storage(self, identity: Any) -> _View:
        """Return the storage that a persistent id names."""
        key, dtype, count, _ = _identity(identity)
        if key not in self.storages:
            raw = self.archive.read(f"{self.folder}data/{key}")
            self.storages[key] = _Storage(self.budget, raw, self.swapped)
        return _View(self.storages[key], dtype, 0, count)


class _Stream:
    """Read the format before the zip one, and plain pickles."""

    def __init__(self, data: memoryview) -> None:
        self.budget = Budget(len(data))
        self.machine = Machine(data, known_names(self.budget))
        self.storages: dict[str, tuple[_Storage, str, int]] = {}

    def read(self) -> Any:
        """Run the pickles."""
        first = self.machine.run()
        if not (isinstance(first, int) and first == _MAGIC):
            return first
        version, _ = self.machine.run(), self.machine.run()
        if version != _LEGACY_VERSION:
            raise ValueError(f"version {version!a:.40} of PyTorch's old format")
        self.machine.persistent = self.storage
        start = self.machine.position
        self.machine.run()  # the storages lie behind the pickle: a first run tells where, and which there are
        self.fill(self.machine.run())
        self.machine.position = start
        return self.machine.run()

    def fill(self, keys: Any) -> None:
        """Fill every storage with its bytes."""
        for key in keys:
            storage, dtype, count = self.storages[key]
            if self.machine.number("<q") != count:
                raise ValueError(f"storage {key!a:.40} has another length than its tensors expect")
            storage.raw = self.machine.take(count * _itemsize(dtype))
        if len(keys) != len(self.storages):
            raise ValueError(f"{len(keys)} storages instead of {len(self.storages)}")

    def storage(self, identity: Any) -> _View:
        """Return the storage, or the part of it, that a persistent id names."""
        key, dtype, count, part = _identity(identity)
        storage, *kind = self.storages.setdefault(key, (_Storage(self.budget), dtype, count))
        if kind != [dtype, count]:
            raise ValueError(f"storage {key!a:.40} has two types or lengths")
        if part is None:
            return _View(storage, dtype, 0, count)
        if not 0 <= part[1] <= part[1] + part[2] <= count:
            raise ValueError("a part of a storage lies outside of it")
        return _View(storage, dtype, part[1], part[2])


class _Storage:
    """The bytes that tensors share; without them, only a first look at the file is being taken."""

    def __init__(self, budget: Budget, raw: memoryview | None = None, swapped: bool = False) -> None:
        self.budget, self.raw, self.swapped = budget, raw, swapped
        self._values: dict[str, np.ndarray] = {}

    def values(self, dtype: str) -> np.ndarray:
        """Return all values of a type; those that have to be converted are converted once for all tensors."""
        if dtype not in self._values:
            size = len(self.raw) // _itemsize(dtype) * _itemsize(dtype)
            stored = "<u2" if dtype == BFLOAT16 else dtype
            kind = np.dtype(stored).newbyteorder() if self.swapped else dtype
            values = values_of(self.raw[:size], kind, self.budget)
            if self.swapped and dtype == BFLOAT16:
                values = values_of(values.data.cast("B"), dtype, self.budget)
            self._values[dtype] = values
        return self._values[dtype]


class _View:
    """A storage as numbers of a type, or some of them."""

    def __init__(self, storage: _Storage, dtype: str, start: int, count: int) -> None:
        self.storage, self.dtype, self.start, self.count = storage, dtype, start, count
        if storage.raw is not None and len(storage.raw) < (start + count) * _itemsize(dtype):
            raise ValueError("a storage is shorter than its tensors expect")

    def tensor(self, offset: int, size: Sequence[int], stride: Sequence[int], dtype: str | None = None) -> Any:
        """Return a tensor, which is a view; None as long as the bytes are unknown."""
        if self.storage.raw is None:
            return None
        values = self.storage.values(dtype or self.dtype)
        first = self.start * _itemsize(self.dtype) // _itemsize(dtype or self.dtype)
        last = (self.start + self.count) * _itemsize(self.dtype) // _itemsize(dtype or self.dtype)
        if len(size) != len(stride) or min((offset, *stride), default=0) < 0:
            raise ValueError("a tensor of impossible size")
        if count_values(tuple(size)) > max(last - first, _MAX_REPEATED):
            raise ValueError("a tensor of far more values than its storage has")
        part, step = values[first:last], values.itemsize
        return np.ndarray(tuple(size), values.dtype, part.data, offset * step, tuple(step * s for s in stride))


def _itemsize(dtype: str) -> int:
    if dtype in UNREAD:
        return 1
    return 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize


def _identity(identity: Any) -> tuple[str, str, int, Any]:
    """Take a persistent id apart: key, type, length, and the part meant (old format only)."""
    kind, storage_type, key, _, count, *view = identity
    if kind != "storage" or not isinstance(key, str) or not isinstance(count, int) or count < 0:
        raise ValueError("data that is not a storage")
    return key, storage_type.meaning, count, view[0] if view else None
