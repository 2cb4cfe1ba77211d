"""Read and write MATLAB files; the images inside a block file have paths of their own.

`SIDD/test/ValidationNoisyBlocksSrgb.mat/0007_03` is block 3 of image 7, both counted from 1. `read_image` takes such a
path like that of any image file.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mindrestore.files import PathLike, replacing
from mindrestore.images.errors import ImageError

PUBLISHED_SHAPE = (40, 32, 256, 256, 3)

_HDF5_MARK = b"\x89HDF\r\n\x1a\n"
_HDF5_PLACES = (0, 512)  # MATLAB 7.3 puts its own header before it
# One file of the published size takes 252 MB: noisy and clear blocks stay in memory, a third file replaces the older.
_FILES_KEPT = 2
_LOADING = threading.Lock()


class MatlabError(ImageError):
    """Report a MATLAB file that cannot be read or does not hold what is expected, with its name and the fix."""


def block_paths(path: PathLike) -> list[Path]:
    """List the images of a block file.

    Args:
        path: MATLAB file with one array (images, blocks, height, width, 3) of uint8.

    Returns:
        One path per block, in order.

    Raises:
        MatlabError: If the file is missing or damaged, or holds no such array.
    """
    images, blocks = _load(Path(path)).shape[:2]
    return [Path(path) / block_name(i, k) for i in range(1, images + 1) for k in range(1, blocks + 1)]


def block_name(image: int, block: int) -> str:
    """Name a block by its numbers, both from 1, as the published result pictures are named."""
    return f"{image:04d}_{block:02d}"


def read_block(path: PathLike) -> np.ndarray:
    """Read one image of a block file; the file stays in memory for the next one.

    Args:
        path: `FILE.mat/IIII_KK`, image and block from 1.

    Returns:
        Array (H, W, 3) uint8.

    Raises:
        MatlabError: If the file cannot be used or has no such block.
    """
    file, name = Path(path).parent, Path(path).name
    numbers = re.fullmatch(r"(\d{4})_(\d{2})", name)
    values = _load(file)
    images, blocks = values.shape[:2]
    image, block = (int(text) for text in numbers.groups()) if numbers else (0, 0)
    if not (1 <= image <= images and 1 <= block <= blocks):
        raise MatlabError(f"{file}: has no block {name!r}; use {block_name(1, 1)} to {block_name(images, blocks)}")
    return np.ascontiguousarray(values[image - 1, block - 1])


def read_variables(path: PathLike) -> dict[str, Any]:
    """Read all variables of a MATLAB file, version 7.3 (HDF5, needs h5py) or earlier.

    Args:
        path: The file.

    Returns:
        Name -> array in MATLAB's axis order; a cell array is an object array; a structure is a dictionary.

    Raises:
        MatlabError: If the file is missing or damaged, or h5py is needed and not installed.
    """
    from scipy.io import loadmat

    path = Path(path)
    try:
        with open(path, "rb") as stream:
            head = stream.read(_HDF5_PLACES[-1] + len(_HDF5_MARK))
    except OSError as error:
        raise MatlabError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    if any(head[place:].startswith(_HDF5_MARK) for place in _HDF5_PLACES):
        return _read_hdf5(path)
    try:
        found = loadmat(path, appendmat=False)
    except MemoryError:
        raise
    except Exception as error:  # on damaged bytes scipy raises IndexError, zlib.error and even UnboundLocalError
        raise MatlabError(f"{path}: damaged MATLAB file ({error}); copy or download it again") from error
    return {name: _plain(value) for name, value in found.items() if not name.startswith("__")}


def write_variables(path: PathLike, variables: Mapping[str, Any]) -> None:
    """Write a MATLAB file (version 5, compressed) in one step.

    Args:
        path: Destination. Missing folders are made.
        variables: Name -> array, text, number or boolean; an object array becomes a cell array.

    Raises:
        ImageError: If the folder or the disk does not allow it.
    """
    from scipy.io import savemat

    with replacing(path) as temporary:
        savemat(temporary, dict(variables), appendmat=False, do_compression=True)


def _load(file: Path) -> np.ndarray:
    try:
        stamp = file.stat()
    except OSError as error:
        raise MatlabError(f"{file}: cannot be read ({error.strerror or error}); check the path") from error
    with _LOADING:  # several workers ask for their first block at once
        return _load_once(file, (stamp.st_mtime_ns, stamp.st_size))


@lru_cache(maxsize=_FILES_KEPT)
def _load_once(file: Path, stamp: tuple[int, int]) -> np.ndarray:
    """Read the block array; the stamp makes a replaced file a new one."""
    arrays = {name: value for name, value in read_variables(file).items() if isinstance(value, np.ndarray)}
    fitting = [value for value in arrays.values() if value.ndim == 5 and value.shape[-1] == 3]
    if len(fitting) != 1 or fitting[0].dtype != np.uint8:
        found = ", ".join(f"{name} {value.shape} {value.dtype}" for name, value in arrays.items()) or "no array"
        raise MatlabError(
            f"{file}: holds {found}; expected one uint8 array (images, blocks, height, width, 3), published as "
            f"{PUBLISHED_SHAPE}; download ValidationNoisyBlocksSrgb.mat and ValidationGtBlocksSrgb.mat again"
        )
    return fitting[0]


def _plain(value: Any) -> Any:
    """Turn the 1x1 record array by which scipy shows a structure into a dictionary."""
    if isinstance(value, np.ndarray) and value.dtype.names and value.size == 1:
        return {name: _plain(value.flat[0][name]) for name in value.dtype.names}
    return value


def _read_hdf5(path: Path) -> dict[str, Any]:
    try:
        import h5py
    except ImportError as error:
        raise MatlabError(
            f"{path}: a MATLAB 7.3 file, which needs h5py; pip install 'mindrestore[dnd]' or pip install h5py"
        ) from error

    def convert(item: Any) -> Any:
        if isinstance(item, h5py.Group):
            return {name: convert(child) for name, child in item.items() if not name.startswith("#")}
        values = item[()]
        if h5py.check_ref_dtype(item.dtype):
            cells = np.empty(values.shape, object)
            for place, reference in np.ndenumerate(values):
                cells[place] = convert(item.file[reference]) if reference else None
            values = cells
        return np.transpose(values)  # HDF5 holds MATLAB's axes in reverse

    try:
        with h5py.File(path, "r") as file:
            return convert(file)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise MatlabError(f"{path}: damaged MATLAB file ({error}); copy or download it again") from error
