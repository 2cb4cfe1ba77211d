"""Weight files: named arrays in and out, complete or not at all."""

from __future__ import annotations

import hashlib
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from mindrestore.errors import first_line
from mindrestore.files import WriteError, replacing
from mindrestore.weights.archive import MAGIC as ARCHIVE
from mindrestore.weights.archive import Archive
from mindrestore.weights.ckpt_file import read_ckpt_file
from mindrestore.weights.errors import WeightError, WeightFileError
from mindrestore.weights.limits import NotReadError, map_file
from mindrestore.weights.npz_file import read_npz_file
from mindrestore.weights.safetensors_file import is_safetensors, read_safetensors_file
from mindrestore.weights.torch_file import read_torch_file

if TYPE_CHECKING:
    import mindspore as ms

SUFFIXES = (".ckpt", ".safetensors", ".npz")  # read and written
# Of PyTorch and PaddlePaddle; .tar is that of NAME.pth.tar, which is not a tar archive
READABLE = (*SUFFIXES, ".pth", ".pt", ".pk", ".pkl", ".pdparams", ".bin", ".tar")

_BLOCK = 1 << 20  # bytes
_PICKLE = 0x80
_DAMAGE = (
    *(ValueError, KeyError, IndexError, TypeError, OverflowError, MemoryError, RecursionError, EOFError),
    *(struct.error, zlib.error),
)

if TYPE_CHECKING:
    import mindspore as ms

PathLike = Union[str, "os.PathLike[str]"]


def read_weights(path: PathLike) -> dict[str, Any]:
    """Read every entry of a weight file under the names it was saved with.

    Args:
        path: File of MindSpore, safetensors, NumPy, PyTorch or PaddlePaddle. The content decides, so that a `.ckpt` may
            be Lightning's; the suffix is one of `READABLE`.

    Returns:
        Name -> array or, in training states, text, plain value or nested dict. Arrays may be views of the file.

    Raises:
        WeightFileError: The file is absent, empty, damaged, of an unknown kind, asks for more than data, or unpacks to
            far more than its size.
    """
    return dict(each_weight(path))


def each_weight(path: PathLike) -> Iterator[tuple[str, Any]]:
    """Read a weight file entry by entry, so that only one has to be in memory.

    Args:
        path: As for `read_weights`.

    Yields:
        Name and value.

    Raises:
        WeightFileError: As `read_weights`.
    """
    path = Path(path)
    if path.is_file() and path.suffix.lower() not in READABLE:
        raise WeightFileError(
            f"{path}: weights come as {', '.join(READABLE)}, not as {path.suffix or 'a file without suffix'}"
        )
    try:
        size = path.stat().st_size if path.is_file() else None
        if size is None:
            raise WeightFileError(f"{path}: no such file; check the path given as weights")
        if size == 0:
            raise WeightFileError(f"{path}: the file is empty (0 bytes), an interrupted copy or save; get it again")
        yield from _reader(path)(path)
    except OSError as error:
        raise WeightFileError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from error
    except NotReadError as error:
        raise WeightFileError(f"{path}: {error}") from error
    except _DAMAGE as error:
        reason = f"damaged or not a {path.suffix} file ({first_line(error)})"
        raise WeightFileError(f"{path}: {reason}; get it again") from error


def _reader(path: Path) -> Callable[[Path], Iterator[tuple[str, Any]]]:
    """Choose a reader by the first bytes."""
    with path.open("rb") as stream:
        head = stream.read(16)
    if head[:4] == ARCHIVE:
        names = [*Archive(map_file(path)).members]
        pickled = any(name.endswith("data.pkl") for name in names)
        arrays = path.suffix.lower() == ".npz" or any(name.endswith(".npy") for name in names)
        return read_npz_file if arrays and not pickled else _read_torch
    if is_safetensors(head):  # first: the length that such a file begins with may look like a pickle
        return read_safetensors_file
    if head[0] == _PICKLE:
        return _read_torch
    suffix = path.suffix.lower()
    return {".ckpt": _read_ckpt, ".safetensors": read_safetensors_file, ".npz": read_npz_file}.get(suffix, _read_torch)


def write_weights(path: PathLike, parameters: Mapping[str, ms.Parameter]) -> None:
    """Write named parameters in one step: the file is complete, or the old one stays.

    Args:
        path: Destination ending in .ckpt, .safetensors or .npz; missing folders are made.
        parameters: Name -> parameter; one that has several names is written under each of them.

    Raises:
        WeightError: The suffix is unknown, or the folder or the disk does not allow it.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise WeightError(
            f"{path}: cannot save weights as {suffix or 'a file without suffix'}; use {', '.join(SUFFIXES)}"
        )
    if suffix == ".ckpt":
        _save_ckpt(parameters, path)
        return
    arrays = {name: np.ascontiguousarray(parameter.asnumpy()) for name, parameter in parameters.items()}
    import safetensors.numpy
    from safetensors import SafetensorError

    try:
        with replacing(path) as temporary:
            if suffix == ".safetensors":
                safetensors.numpy.save_file(arrays, temporary)
            else:
                with temporary.open("wb") as stream:
                    np.savez(stream, **arrays)
            temporary.chmod(0o644)
    except WriteError as error:  # its message already names the file, the reason and the fix
        raise WeightError(str(error)) from error
    except SafetensorError as error:
        raise WeightError(f"{path}: cannot be written ({first_line(error)}); check rights and free space") from error


def sha256_of(path: PathLike) -> str:
    """Return the SHA-256 checksum of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _save_ckpt(parameters: Mapping[str, ms.Parameter], path: Path) -> None:
    import mindspore as ms

    entries = [{"name": name, "data": parameter} for name, parameter in parameters.items()]  # value() would copy
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.{threading.get_ident()}.ckpt")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            ms.save_checkpoint(entries, str(temporary), crc_check=True)
            temporary.chmod(0o644)  # MindSpore leaves 0400
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightError(
            f"{path}: the weights could not be saved ({first_line(error)}); check the rights and the free space"
        ) from error


def _read_torch(path: Path) -> Iterator[tuple[str, Any]]:
    yield from read_torch_file(path).items()


def _read_ckpt(path: Path) -> Iterator[tuple[str, Any]]:
    yield from read_ckpt_file(path).items()
