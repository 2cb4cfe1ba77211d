"""Read files of PyTorch and PaddlePaddle without either, and without running anything they hold.

PyTorch has two formats. Since 1.6 a file is a zip archive of uncompressed members: `data.pkl`, a pickle in which
tensors point to storages, and one member per storage. Before, it was one stream: magic number, version, facts about
the machine, the pickle, the names of the storages, the storages. PaddlePaddle pickles NumPy arrays. The file is mapped
into memory: tensors are views of it, and only what is used is read.
"""

from __future__ import annotations

import mmap
import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mindrestore.errors import first_line
from mindrestore.weights.errors import WeightFileError
from mindrestore.weights.pickles import Buffer, ForbiddenGlobal, Machine, Pending, named_values

TORCH_SUFFIXES = (".pth", ".pt", ".pk", ".pkl", ".pdparams")

_MAGIC, _LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001
_MAX_AXES = 32
_MAX_REPEATED = 1 << 20  # values of a tensor that repeats those of its storage
_BFLOAT16 = "bfloat16"  # NumPy has none; values are widened to float32
_STORAGES = {
    **{"Double": "<f8", "Float": "<f4", "Half": "<f2", "BFloat16": _BFLOAT16, "Bool": "?"},
    **{"Long": "<i8", "Int": "<i4", "Short": "<i2", "Char": "i1", "Byte": "u1"},
    **{"ComplexDouble": "<c16", "ComplexFloat": "<c8"},
}
_DTYPES = {
    **{"float64": "<f8", "float32": "<f4", "float16": "<f2", "bfloat16": _BFLOAT16, "bool": "?"},
    **{"int64": "<i8", "int32": "<i4", "int16": "<i2", "int8": "i1"},
    **{"uint64": "<u8", "uint32": "<u4", "uint16": "<u2", "uint8": "u1", "complex128": "<c16", "complex64": "<c8"},
}
_NUMPY_DTYPES = frozenset(f"{kind}{size}" for kind in "fiuc" for size in (1, 2, 4, 8, 16)) | {"b1"}
_DAMAGE = (
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, MemoryError),
    *(RecursionError, EOFError, NotImplementedError, struct.error, zipfile.BadZipFile, zlib.error),
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
        with path.open("rb") as stream:
            data = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        content = _Archive(data).read() if data[:4] == b"PK\x03\x04" else _Stream(data).read()
    except ForbiddenGlobal as error:
        raise WeightFileError(
            f"{path}: asks for {ascii(str(error))[1:-1][:100]}, which no set of weights needs; nothing of it was run. "
            "If you trust the file, load it where it was made and save its state_dict alone"
        ) from error
    except _DAMAGE as error:
        raise WeightFileError(f"{path}: damaged or no file of weights ({first_line(error)}); get it again") from error
    if not isinstance(content, dict):
        raise WeightFileError(f"{path}: holds {type(content).__name__} instead of named tensors; save a state_dict")
    return {str(name): value for name, value in content.items()}


class _Archive:
    """Read the zip format."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        with zipfile.ZipFile(data.obj) as archive:
            members = archive.infolist()
        self.members = {member.filename: member for member in members}
        if "constants.pkl" in {name.rpartition("/")[2] for name in self.members}:
            raise ValueError("a TorchScript program; save its state_dict")
        if sum(member.file_size for member in members) > len(data):
            raise ValueError("members that unpack to more than the file")
        pickles = [name for name in self.members if name.rpartition("/")[2] == "data.pkl" and name.count("/") < 2]
        if len(pickles) != 1:
            raise ValueError(f"{len(pickles)} members data.pkl instead of one")
        self.folder = pickles[0][: -len("data.pkl")]
        order = f"{self.folder}byteorder"
        self.swapped = order in self.members and bytes(self.member(order)) == b"big"
        self.storages: dict[tuple[str, str], _Storage] = {}

    def read(self) -> Any:
        """Run the pickle."""
        return Machine(self.member(f"{self.folder}data.pkl"), _names(len(self.data)), self.storage).run()

    def member(self, name: str) -> memoryview:
        """Return the bytes of a member after comparing their checksum."""
        if name not in self.members:
            raise ValueError(f"no member {name!a}")
        info = self.members[name]
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise ValueError(f"{name!a} is compressed or encrypted, as PyTorch never writes it")
        header = self.data[info.header_offset : info.header_offset + 30]
        if info.header_offset < 0 or header[:4] != b"PK\x03\x04":
            raise ValueError(f"no header of {name!a}")
        start = info.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
        content = self.data[start : start + info.file_size]
        # PyTorch writes 0 when it is told to save time
        if len(content) != info.file_size or (info.CRC and zlib.crc32(content) != info.CRC):
            raise ValueError(f"the checksum of {name!a} is wrong")
        return content

    def storage(self, identity: Any) -> _Storage:
        """Return the storage that a persistent id names."""
        key, dtype, count, _ = _identity(identity)
        if (key, dtype) not in self.storages:
            raw = self.member(f"{self.folder}data/{key}")
            self.storages[key, dtype] = _Storage(dtype, count, raw, self.swapped)
        return self.storages[key, dtype]


class _Stream:
    """Read the format before the zip one, and plain pickles."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.machine = Machine(data, _names(len(data)))
        self.storages: dict[str, _Storage] = {}

    def read(self) -> Any:
        """Run the pickles."""
        first = self.machine.run()
        if not (isinstance(first, int) and first == _MAGIC):
            return first
        version, _ = self.machine.run(), self.machine.run()
        if version != _LEGACY_VERSION:
            raise ValueError(f"version {version} of PyTorch's old format")
        self.machine.persistent = self.storage
        start = self.machine.position
        self.machine.run()  # the storages lie behind the pickle: a first run tells where, and which there are
        self.fill(self.machine.run())
        self.machine.position = start
        return self.machine.run()

    def fill(self, keys: Any) -> None:
        """Return every storage its bytes."""
        for key in keys:
            storage = self.storages[key]
            if self.machine.number("<q") != storage.count:
                raise ValueError(f"storage {key!a} has another length than its tensors expect")
            storage.fill(self.machine.take(storage.count * storage.itemsize))
        if len(keys) != len(self.storages):
            raise ValueError(f"{len(keys)} storages instead of {len(self.storages)}")

    def storage(self, identity: Any) -> _Storage:
        """Return the storage, or the part of it, that a persistent id names."""
        key, dtype, count, view = _identity(identity)
        storage = self.storages.setdefault(key, _Storage(dtype, count))
        if (storage.dtype, storage.count) != (dtype, count):
            raise ValueError(f"storage {key!a} has two types or lengths")
        return storage.part(view[1], view[2]) if view else storage


class _Storage:
    """A row of numbers that tensors are views of; without bytes, only its length is known."""

    def __init__(self, dtype: str, count: int, raw: memoryview | None = None, swapped: bool = False) -> None:
        self.dtype, self.count, self.swapped = dtype, count, swapped
        self.itemsize = 2 if dtype == _BFLOAT16 else np.dtype(dtype).itemsize
        self.values: np.ndarray | None = None
        if raw is not None:
            if len(raw) < count * self.itemsize:
                raise ValueError("a storage is shorter than its tensors expect")
            self.fill(raw[: count * self.itemsize])

    def fill(self, raw: memoryview) -> None:
        """Take the bytes."""
        self.values = _numbers(raw, self.dtype, self.swapped)

    def part(self, start: int, count: int) -> _Storage:
        """Return some of the numbers as a storage."""
        if not (0 <= start <= start + count <= self.count):
            raise ValueError("a part of a storage lies outside of it")
        part = _Storage(self.dtype, count)
        part.values = None if self.values is None else self.values[start : start + count]
        return part

    def tensor(self, offset: int, size: Sequence[int], stride: Sequence[int], dtype: str | None = None) -> Any:
        """Return a view, or None as long as the bytes are unknown."""
        if self.values is None:
            return None
        values = self.values if dtype is None else _numbers(self.values.data, dtype, self.swapped)
        if not len(size) == len(stride) <= _MAX_AXES or min((offset, *size, *stride)) < 0:
            raise ValueError("a tensor of impossible size")
        if not np.prod(size, dtype=np.float64) <= max(len(values), _MAX_REPEATED):
            raise ValueError("a tensor of far more values than its storage has")
        step = values.itemsize
        return np.ndarray(tuple(size), values.dtype, values.data, offset * step, tuple(step * s for s in stride))


def _identity(identity: Any) -> tuple[str, str, int, Any]:
    """Take a persistent id apart: key, type, length, and the part meant (old format only)."""
    kind, storage_type, key, _, count, *view = identity
    if kind != "storage" or not isinstance(key, str) or not isinstance(count, int) or count < 0:
        raise ValueError("data that is not a storage")
    return key, storage_type.meaning, count, view[0] if view else None


def widen(halves: np.ndarray) -> np.ndarray:
    """Make float32 of bfloat16, its upper half.

    Args:
        halves: uint16 array of any shape.

    Returns:
        float32 array of that shape.
    """
    return (halves.astype("<u4") << 16).view("<f4")


def _numbers(raw: Buffer, dtype: str, swapped: bool = False) -> np.ndarray:
    stored = np.dtype("<u2" if dtype == _BFLOAT16 else dtype)
    values = np.frombuffer(raw, stored.newbyteorder() if swapped else stored)
    return widen(values) if dtype == _BFLOAT16 else values


class _DType(Pending):
    """Make a NumPy type: code first, byte order later."""

    def __init__(self, code: str, *_: Any) -> None:
        if code not in _NUMPY_DTYPES:
            raise ValueError(f"arrays of type {ascii(code)[:40]}")
        self.code = code

    def build(self, state: Any) -> None:
        self.result = np.dtype(self.code).newbyteorder("=" if state[1] == "|" else state[1])


class _Array(Pending):
    """Make a NumPy array: shape, type and bytes come later."""

    def __init__(self, copies: _Copies) -> None:
        self.copies = copies

    def build(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        self.result = self.copies.array(raw, dtype, shape, "F" if fortran else "C")


class _Copies:
    """Make containers and arrays of others, within a limit.

    An honest file has every value in its bytes; a hostile one could have the same million copied again and again.

    Args:
        budget: values that may be copied.
    """

    def __init__(self, budget: int) -> None:
        self.left = budget

    def spend(self, values: Any) -> Any:
        """Return the values back after counting them."""
        self.left -= len(values)
        if self.left < 0:
            raise ValueError("more copies than the file has bytes")
        return values

    def ordered(self, pairs: Any = ()) -> dict[Any, Any]:
        """Make a dict of pairs, as Python 2 wrote one."""
        keys, values = zip(*self.spend(pairs)) if pairs else ((), ())
        return named_values(keys, values)

    def counter(self, counts: Any = ()) -> dict[Any, Any]:
        """Make a dict of a dict."""
        return named_values([*self.spend(counts)], [*counts.values()] if counts else [])

    def sequence(self, values: Any = ()) -> tuple[Any, ...]:
        """Make a tuple."""
        return tuple(self.spend(values))

    def tuple_or_tensor(self, values: Any = ()) -> Any:
        """Make a tuple, or take the values of PaddlePaddle's pair of a tensor's name and values."""
        if len(values) == 2 and isinstance(values[0], str) and isinstance(values[1], np.ndarray):
            return values[1]
        return self.sequence(values)

    def encode(self, text: str, *_: Any) -> bytes:
        """Return bytes that were written as text."""
        return self.spend(text).encode("latin-1")

    def array(self, raw: Any, dtype: Any, shape: Any, order: str = "C") -> np.ndarray:
        """Make an array of its bytes; Python 2 wrote them as text."""
        if not isinstance(dtype, np.dtype) or len(shape) > _MAX_AXES:
            raise ValueError("an array of unknown type")
        return np.frombuffer(self.encode(raw) if isinstance(raw, str) else raw, dtype).reshape(shape, order=order)


def _tensor(storage: _Storage, offset: int, size: Any, stride: Any, *_: Any) -> Any:
    return storage.tensor(offset, size, stride)


def _typed_tensor(storage: _Storage, offset: int, size: Any, stride: Any, *rest: Any) -> Any:
    return storage.tensor(offset, size, stride, rest[2].meaning)  # behind: requires_grad, hooks, type


def _names(budget: int) -> dict[str, Any]:
    """List every name that a file may use, with what the reader does in its place."""
    copies = _Copies(budget)
    names: dict[str, Any] = {
        "collections.OrderedDict": copies.ordered,
        "collections.Counter": copies.counter,
        "_codecs.encode": copies.encode,
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_tensor_v3": _typed_tensor,
        "torch._utils._rebuild_parameter": lambda data, *_: data,
        "torch._utils._rebuild_parameter_with_state": lambda data, *_: data,
        "torch._tensor._rebuild_from_type_v2": lambda function, kind, arguments, state: function.meaning(*arguments),
        "torch.Size": copies.sequence,
        "torch.device": lambda *words: words,
        "torch.storage.UntypedStorage": "u1",
        "numpy.dtype": _DType,
    }
    for module in ("builtins", "__builtin__"):
        names[f"{module}.tuple"] = copies.tuple_or_tensor
        names[f"{module}.set"] = copies.sequence
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray._reconstruct"] = lambda *_: _Array(copies)
        names[f"{core}.multiarray.scalar"] = lambda dtype, raw: copies.array(raw, dtype, ()).item()
        names[f"{core}.numeric._frombuffer"] = copies.array
    for kind in ("numpy.ndarray", "torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"):
        names[kind] = None
    names.update({f"torch.{name}Storage": dtype for name, dtype in _STORAGES.items()})
    names.update({f"torch.{name}": dtype for name, dtype in _DTYPES.items()})
    return names
