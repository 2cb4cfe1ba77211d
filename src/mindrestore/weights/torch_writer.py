"""Write the zip format of PyTorch without PyTorch."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from mindrestore.files import WriteError, replacing
from mindrestore.weights.errors import WeightError

WRITABLE = (".pth", ".pt")

_STORAGES = {
    **{"float64": "Double", "float32": "Float", "float16": "Half", "bool": "Bool"},
    **{"int64": "Long", "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte"},
}
_ALIGNMENT = 64  # of storages, as PyTorch writes them: a file can then be mapped into memory
_FORMAT_VERSION = b"3\n"


def write_torch_file(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a state dict that `torch.load(path, weights_only=True)` reads, complete or not at all.

    Args:
        path: destination; missing folders are made.
        arrays: name -> array. One array under several names is stored once, and shared after loading.

    Raises:
        WeightError: PyTorch has no such type, or the folder or the disk does not allow it.
    """
    path = Path(path)
    for name, array in arrays.items():
        if array.dtype.name not in _STORAGES:
            raise WeightError(
                f"{path}: {name} is {array.dtype}, which PyTorch files do not hold; convert it to float32"
            )
    distinct = {id(array): array for array in arrays.values()}
    keys = {identity: str(number) for number, identity in enumerate(distinct)}
    try:
        with replacing(path) as temporary:
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
                _add(archive, f"{path.stem}/data.pkl", _pickled(arrays, keys))
                _add(archive, f"{path.stem}/byteorder", b"little")
                for identity, array in distinct.items():
                    stored = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
                    _add(archive, f"{path.stem}/data/{keys[identity]}", stored.reshape(-1).view(np.uint8).data)
                _add(archive, f"{path.stem}/version", _FORMAT_VERSION)
            temporary.chmod(0o644)
    except WriteError as error:  # its message already names the file, the reason and the fix
        raise WeightError(str(error)) from error


def _add(archive: zipfile.ZipFile, name: str, content: bytes | memoryview) -> None:
    """Add a member whose content begins at a multiple of the alignment."""
    info = zipfile.ZipInfo(name)
    start = archive.start_dir + 30 + len(name.encode()) + 4  # behind the header, the name and the filler's own header
    filler = -start % _ALIGNMENT
    info.extra = b"FB" + struct.pack("<H", filler) + bytes(filler)
    archive.writestr(info, content)


def _pickled(arrays: Mapping[str, np.ndarray], keys: Mapping[int, str]) -> bytes:
    """Spell out the pickle of an OrderedDict of tensors (protocol 2, without memo)."""
    empty = _global("collections", "OrderedDict") + b")R"
    parts = [b"\x80\x02", empty, b"("]
    for name, array in arrays.items():
        strides = np.cumprod([1, *array.shape[:0:-1]])[::-1] if array.ndim else ()
        storage = _global("torch", f"{_STORAGES[array.dtype.name]}Storage")
        parts += [
            _text(name),
            _global("torch._utils", "_rebuild_tensor_v2"),
            b"((" + _text("storage") + storage + _text(keys[id(array)]) + _text("cpu") + _integer(array.size) + b"tQ",
            _integer(0) + _integers(array.shape) + _integers(strides) + b"\x89" + empty + b"tR",
        ]
    return b"".join([*parts, b"u."])


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value) if value < 1 << 31 else b"\x8a\x08" + struct.pack("<q", value)


def _integers(values: Iterable[int]) -> bytes:
    return b"(" + b"".join(_integer(int(value)) for value in values) + b"t"
