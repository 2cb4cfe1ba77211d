"""Decoded images for the training loader: kept in memory, or once on disk for all epochs and ranks.

Both keep planes, as batches do: what a patch is made of need not be taken apart at every use.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import struct
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from mindrestore.files import WriteError, cache_folder, replacing
from mindrestore.images.read import read_image

if TYPE_CHECKING:
    from mindrestore.recipes.schema import DataConfig

Reader = Callable[[Path], np.ndarray]

MEMORY_GB, DISK_GB = 0.5, 32.0  # limits unless `data.cache_gb` says otherwise
_GB = 1 << 30
_HEADER = struct.Struct("<8s4sIII")  # magic, type, height, width, channels
_START = 64  # bytes before the pixels, so that they are aligned
_MAGIC = b"MRimage2"
_MOST_MAPS = 1 << 15  # Linux allows a process 65,530
_RESCAN = 256  # images written between two looks at what all processes have written


class ImageCache:
    """Keep decoded images in memory up to a number of bytes, and drop those used longest ago.

    Args:
        max_bytes: Limit on the sum of the arrays; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._images: OrderedDict[Path, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to this process: another one has a memory of its own."""
        return {"max_bytes": self.max_bytes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __call__(self, path: Path) -> np.ndarray:
        with self._lock:
            if path in self._images:
                self._images.move_to_end(path)
                return self._images[path]
        image = _as_pixels(_in_planes(read_image(path)))  # outside the lock, so that workers decode side by side
        image.flags.writeable = False  # shared by every later caller
        with self._lock:
            if image.nbytes <= self.max_bytes and path not in self._images:
                self._images[path] = image
                self.bytes += image.nbytes
            while self.bytes > self.max_bytes:
                self.bytes -= self._images.popitem(last=False)[1].nbytes
        return image


class DiskCache:
    """Keep decoded images in a folder, and map them into memory: the system shares the pages among all processes.

    The name of a file holds size and time of the image that it was made from, so that another image of that name is
    decoded anew. Files appear whole. When the limit is reached, files that no training has used since this one began
    are removed, the oldest first; then further images are decoded at every use.

    Args:
        folder: Where the files are; several trainings, and data sets, may share it.
        max_bytes: Limit on the sum of the files.
        read: Decodes one file.
    """

    def __init__(self, folder: Path, max_bytes: int, read: Reader = read_image) -> None:
        self.folder, self.max_bytes, self.read = folder, max_bytes, read
        self._names: dict[Path, Path] = {}
        self._maps: dict[Path, tuple[tuple[int, ...], np.ndarray]] = {}
        self._most_maps = _descriptors() // 2  # each takes one
        self._began: float | None = None  # by the clock of the folder's file system
        self._used = 0
        self._unseen = _RESCAN  # images written since the folder was looked through
        self._full = False
        self._lock = threading.Lock()

    def __call__(self, path: Path) -> np.ndarray:
        kept = self._names.get(path)
        image = self._again(kept) if kept is not None else None
        if image is not None:
            return image
        try:
            kept = self._name(path)  # once in a process: asking a network file system takes longer than reading
        except OSError:  # absent, which the reader reports
            return self.read(path)
        with suppress(OSError):
            os.utime(kept)  # it is in use
        image = self._again(kept)
        if image is None:
            image = self.read(path)
            if not self._keep(kept, image):
                return image
            image = self._again(kept)
            if image is None:  # removed by another process a moment ago
                return self.read(path)
        self._names[path] = kept
        return image

    def _again(self, kept: Path) -> np.ndarray | None:
        """Map a file, unless it still is as when it was mapped: its pages are in place then, and need no fault each."""
        try:
            facts = kept.stat()
        except OSError:  # absent, or removed by another process
            return None
        state = facts.st_ino, facts.st_size, facts.st_mtime_ns
        before, image = self._maps.get(kept, (None, None))
        if before == state:
            return image
        image = _mapped(kept)
        if image is not None and (before is not None or len(self._maps) < self._most_maps):
            self._maps[kept] = state, image
        return image

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to this process: another one has a lock of its own."""
        return {"folder": self.folder, "max_bytes": self.max_bytes, "read": self.read}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _name(self, path: Path) -> Path:
        """Name the file of an image as it is now."""
        path = path.resolve()
        facts = path.stat()
        key = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
        return self.folder / key[:2] / f"{key}-{facts.st_size:x}-{facts.st_mtime_ns:x}.raw"

    def _keep(self, kept: Path, image: np.ndarray) -> bool:
        """Write an image, unless there is no room for it."""
        size = _START + image.nbytes
        try:
            with self._lock:
                if not self._makes_room(size):
                    return False
                self._used += size
                self._unseen += 1
            with replacing(kept) as temporary, temporary.open("wb") as file:
                file.write(_HEADER.pack(_MAGIC, image.dtype.str.encode(), *image.shape).ljust(_START, b"\0"))
                file.write(_in_planes(image).data)
        except (OSError, WriteError):  # a full disk, or no right to write: training goes on without
            self._full = True
            return False
        for former in kept.parent.glob(f"{kept.name.split('-')[0]}-*.raw"):
            if former != kept:  # made from an image that has been replaced
                former.unlink(missing_ok=True)
        return True

    def _makes_room(self, size: int) -> bool:
        if self._full:
            return False
        if self._unseen >= _RESCAN:
            self._look_through()
        if self._used + size > self.max_bytes:
            self._look_through(needed=size)
        self._full = self._used + size > self.max_bytes
        return not self._full

    def _look_through(self, needed: int = 0) -> None:
        """Add up what all processes have written, and remove what is older than this training while room is needed.

        Raises:
            OSError: The folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._began is None:
            probe = self.folder / f".{os.getpid()}.probe"
            probe.touch()
            self._began = probe.stat().st_mtime
            probe.unlink()
        found = []
        for entry in self.folder.glob("??/*.raw"):
            try:
                facts = entry.stat()
            except OSError:  # removed by another process
                continue
            found.append((facts.st_mtime, facts.st_size, entry))
        self._used, self._unseen = sum(size for _, size, _ in found), 0
        for time, size, entry in sorted(found):
            if self._used + needed <= self.max_bytes or not needed or time >= self._began:
                break
            entry.unlink(missing_ok=True)
            self._used -= size


def _mapped(path: Path) -> np.ndarray | None:
    """Return the image of a cache file without reading it; None when it is absent or damaged."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        content = mmap.mmap(file, 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # an empty file
        return None
    finally:
        os.close(file)
    if len(content) < _START:
        return None
    magic, kind, *shape = _HEADER.unpack_from(content)
    pixels = len(content) - _START
    if magic != _MAGIC or pixels != math.prod(shape) * np.dtype(kind.rstrip(b"\0").decode()).itemsize:
        return None
    height, width, channels = shape
    planes = np.frombuffer(content, kind.rstrip(b"\0").decode(), offset=_START).reshape(channels, height, width)
    return _as_pixels(planes)


def _descriptors() -> int:
    """Return how many files this process may have open."""
    try:
        import resource
    except ImportError:  # not a Unix
        return 0
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST_MAPS if limit == resource.RLIM_INFINITY else min(limit, _MOST_MAPS)


def _in_planes(image: np.ndarray) -> np.ndarray:
    """Copy (H, W, C) to (C, H, W)."""
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def _as_pixels(planes: np.ndarray) -> np.ndarray:
    """Return (C, H, W) as a view (H, W, C)."""
    return planes.transpose(1, 2, 0)


def open_cache(config: DataConfig) -> Reader:
    """Return the reader of image files that a recipe asks for.

    Args:
        config: Uses `cache`, `cache_gb` and `cache_dir`.

    Returns:
        Function of a path that gives the decoded image; nobody may write to it.
    """
    if config.cache == "none":
        return read_image
    usual = MEMORY_GB if config.cache == "memory" else DISK_GB
    limit = int((usual if config.cache_gb is None else config.cache_gb) * _GB)
    if config.cache == "memory":
        return ImageCache(limit)
    return DiskCache(Path(config.cache_dir) if config.cache_dir else cache_folder() / "images", limit)
