"""Objects of OBS through Huawei's moxing, which exists inside ModelArts only."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mindrestore.cloud.address import Address, CloudError, Remote, checked_name
from mindrestore.cloud.files import PARTIAL, Report, nothing
from mindrestore.cloud.obs import PATIENCE

_THREADS = 16


class MoxingStore:
    """Copy files by `moxing.file`; it finds its credentials in the job.

    It gives no checksums: sizes are compared after every copy.

    Args:
        files: The module `moxing.file`.
        patience: Seconds to wait before each further attempt.
    """

    def __init__(self, files: Any, patience: Sequence[float] = PATIENCE) -> None:
        self.files, self.patience = files, tuple(patience)

    def list(self, folder: Address) -> list[Remote]:
        """List all objects of a folder, with their sizes."""
        names = self._call("list", folder, lambda: self._names(folder))
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(self.find, [folder.child(name) for name in names])
            return [remote._replace(name=name) for name, remote in zip(names, found) if remote]

    def find(self, address: Address) -> Remote | None:
        """Return one object; None when there is none."""
        url = str(address)
        if not self._call("read", address, lambda: self.files.exists(url) and not self.files.is_directory(url)):
            return None
        size = self._call("read", address, lambda: self.files.get_size(url))
        return Remote(address.key.rpartition("/")[2], address, int(size), "")

    def fetch(self, remote: Remote, path: Path, report: Report = nothing) -> bool:
        """Bring an object here, under its name only when its size is right; False: there is no checksum."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{remote.size}{PARTIAL}")
        self._call("read", remote.address, lambda: self.files.copy(str(remote.address), str(part)))
        if part.stat().st_size != remote.size:
            part.unlink()
            raise CloudError(f"{remote.address}: did not arrive whole; run the same command again")
        part.replace(path)
        report(remote.size)
        return False

    def send(self, path: Path, address: Address, report: Report = nothing) -> str:
        """Write a file into the store, and compare the size."""
        size = path.stat().st_size
        self._call("write", address, lambda: self.files.copy(str(path), str(address)))
        there = self._call("read", address, lambda: self.files.get_size(str(address)))
        if there < size:  # a log may have grown meanwhile
            raise CloudError(f"{address}: {there:,} of {size:,} bytes arrived; run the same command again")
        report(size)
        return ""

    def same(self, remote: Remote, path: Path) -> bool:
        """Return whether a file of this size is here; moxing says no more."""
        return path.is_file() and path.stat().st_size == remote.size

    def _names(self, folder: Address) -> list[str]:
        if not self.files.exists(str(folder)):
            return []
        names = self.files.list_directory(str(folder), recursive=True)
        return [checked_name(name, folder) for name in names if not name.endswith("/")]

    def _call(self, verb: str, address: Address, request: Callable[[], Any]) -> Any:
        for wait in (*self.patience, None):
            try:
                return request()
            except Exception as error:  # moxing's own classes differ from version to version
                reason = type(error).__name__  # its text may hold what must not be shown
            if wait is not None:
                time.sleep(wait)
        raise CloudError(f"{address}: moxing cannot {verb} after {len(self.patience) + 1} attempts ({reason})")


def genuine_moxing() -> Any:
    """Return `moxing.file` where this is Huawei's moxing; else None (PyPI's package of that name is another)."""
    try:
        import moxing
    except ImportError:
        return None
    files = getattr(moxing, "file", None)
    return files if hasattr(files, "copy_parallel") else None
