"""Copy whole folders from and to object storage, several files at a time; what is there already stays."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from mindrestore.cloud import files
from mindrestore.cloud.address import Address, CloudError, Remote
from mindrestore.cloud.moxing import MoxingStore, genuine_moxing
from mindrestore.cloud.obs import ObsStore

COMPLETE = ".mindrestore-complete"  # in a folder that was fetched whole: a digest of what the store listed
FETCHED = ".store.ckpt"  # the store's last state, until it is compared with the one here
# What a run writes on the way to something else; the last state is enough to go on.
UNFINISHED = ("*.part", "*.tmp", "*.new.ckpt", "last.prev.ckpt", "*.lock", COMPLETE, FETCHED)
_THREADS = 8
_RESERVE = 64 << 20  # bytes that stay free


class Store(Protocol):
    """What copying needs of a store."""

    def list(self, folder: Address) -> list[Remote]:
        """List all objects of a folder."""

    def find(self, address: Address) -> Remote | None:
        """Return one object."""

    def fetch(self, remote: Remote, path: Path, report: files.Report = ...) -> bool:
        """Bring an object here; tell whether a checksum could be compared."""

    def send(self, path: Path, address: Address, report: files.Report = ...) -> str:
        """Write a file into the store."""

    def same(self, remote: Remote, path: Path) -> bool:
        """Return whether a file is here already."""


class CheckedStore:
    """Copy through the official client, with checksums.

    Args:
        objects: The store's objects.
    """

    def __init__(self, objects: ObsStore) -> None:
        self.objects = objects
        self.list, self.find = objects.list, objects.find

    def fetch(self, remote: Remote, path: Path, report: files.Report = files.nothing) -> bool:
        """See `files.fetch_file`."""
        return files.fetch_file(self.objects, remote, path, report)

    def send(self, path: Path, address: Address, report: files.Report = files.nothing) -> str:
        """See `files.send_file`."""
        return files.send_file(self.objects, path, address, report)

    def same(self, remote: Remote, path: Path) -> bool:
        """See `files.same`."""
        return files.same(remote, path)


def open_store() -> Store:
    """Return access to object storage: Huawei's moxing inside ModelArts, elsewhere the official client.

    Raises:
        CloudError: The client or its credentials are missing.
    """
    moxing = genuine_moxing()
    return MoxingStore(moxing) if moxing else CheckedStore(ObsStore.from_environment())


@dataclass(frozen=True)
class Copied:
    """What a copy did.

    Attributes:
        names: Files that were copied, or would be.
        kept: Number of files that were there already.
        size: Bytes of those that were copied.
        unchecked: Number of files whose size alone could be compared.
        seconds: How long it took.
    """

    names: tuple[str, ...]
    kept: int = 0
    size: int = 0
    unchecked: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        # below half a second the clock says more about the start than about the line
        speed = f" in {self.seconds:.1f} s ({self.size / 1e6 / self.seconds:.1f} MB/s)" if self.seconds > 0.5 else ""
        there = f", {self.kept} were there" if self.kept else ""
        loose = f"; {self.unchecked} compared by size only" if self.unchecked else ""
        return f"{len(self.names)} files, {self.size / 1e6:.1f} MB{speed}{there}{loose}"


def fetch_tree(store: Store, address: Address, folder: Path, dry_run: bool = False) -> Copied:
    """Bring a folder of objects here. Files that are the same stay, broken-off copies go on.

    Args:
        store: Where from.
        address: The folder in the store.
        folder: Where to; it is made.
        dry_run: Only tell what would be copied.

    Returns:
        What was copied.

    Raises:
        CloudError: There is nothing, there is no room, or a file cannot be copied.
    """
    remotes = store.list(address)
    if not remotes:
        raise CloudError(f"{address}: nothing is there; check the address")
    digest = hashlib.sha256(json.dumps(sorted([r.name, r.size, r.etag] for r in remotes)).encode()).hexdigest()
    marker = folder / COMPLETE
    if marker.is_file() and marker.read_text(encoding="utf-8") == digest and _have_sizes(folder, remotes):
        return Copied((), kept=len(remotes))
    wanted = [remote for remote in remotes if not store.same(remote, folder / remote.name)]
    copied = Copied(tuple(remote.name for remote in wanted), len(remotes) - len(wanted), sum(r.size for r in wanted))
    if dry_run:
        return copied
    _make_room(folder, copied.size)
    began = time.perf_counter()
    jobs = [lambda report, r=remote: store.fetch(r, folder / r.name, report) for remote in wanted]
    checked = _copy_all(jobs, copied.size, str(address))
    marker.write_text(digest, encoding="utf-8")
    return Copied(copied.names, copied.kept, copied.size, checked.count(False), time.perf_counter() - began)


class Mirror:
    """Keep a folder in the store like one here. Nothing is ever deleted there.

    Args:
        store: Where to.
        folder: The folder here.
        address: The folder in the store.
        skip: Patterns of file names that stay here.
    """

    def __init__(self, store: Store, folder: Path, address: Address, skip: Sequence[str] = UNFINISHED) -> None:
        self.store, self.folder, self.address, self.skip = store, folder, address, tuple(skip)
        self.compares = not isinstance(store, MoxingStore)  # equal sizes prove nothing
        self._there: dict[str, Remote] | None = None  # what the store had at first
        self._sent: dict[str, tuple[int, int]] = {}  # name -> (size, time) of what is there now

    def push(self, dry_run: bool = False, progress: bool = False) -> Copied:
        """Send what is new or changed.

        Args:
            dry_run: Only tell what would be sent.
            progress: Show a bar.

        Returns:
            What was sent.

        Raises:
            CloudError: A file cannot be sent; those before it are there.
        """
        began = time.perf_counter()
        if self._there is None:
            self._there = {remote.name: remote for remote in self.store.list(self.address)}
        states = dict(self._states())
        wanted = [name for name, state in states.items() if self._sent.get(name) != state and not self._is_there(name)]
        size = sum(states[name][0] for name in wanted)
        if not dry_run:
            jobs = [lambda report, n=name: self._send(n, states[n], report) for name in wanted]
            _copy_all(jobs, size, str(self.address) if progress else None)
        return Copied(tuple(wanted), len(states) - len(wanted), size, seconds=time.perf_counter() - began)

    def _send(self, name: str, state: tuple[int, int], report: files.Report) -> None:
        try:
            self.store.send(self.folder / name, self.address.child(name), report)
        except FileNotFoundError:
            return  # renamed meanwhile: it is sent under its new name the next time
        self._sent[name] = state  # as it was listed: what came later is sent again

    def _is_there(self, name: str) -> bool:
        """Compare a file with what the store had before anything was sent."""
        remote, path = self._there.pop(name, None), self.folder / name
        if remote is None or not self.compares:
            return False
        facts = path.stat()
        if not self.store.same(remote, path):
            return False
        self._sent[name] = facts.st_size, facts.st_mtime_ns
        return True

    def _states(self) -> Iterable[tuple[str, tuple[int, int]]]:
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and not any(fnmatch.fnmatch(path.name, pattern) for pattern in self.skip):
                facts = path.stat()
                yield path.relative_to(self.folder).as_posix(), (facts.st_size, facts.st_mtime_ns)


def _have_sizes(folder: Path, remotes: Iterable[Remote]) -> bool:
    paths = ((folder / remote.name, remote.size) for remote in remotes)
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def _make_room(folder: Path, size: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise CloudError(f"{folder}: cannot be created ({error.strerror}); choose another folder") from error
    if size + min(_RESERVE, size) > free:
        raise CloudError(
            f"{folder}: {size / 1e6:,.1f} MB are to be copied, the disk has {free / 1e6:,.1f} MB free; "
            "free some space or choose another folder"
        )


def _copy_all(jobs: Sequence[Callable[[files.Report], Any]], size: int, title: str | None) -> list[Any]:
    """Run all copies, several at a time; the first failure ends the others."""
    shown = title is not None and sys.stderr.isatty()
    with tqdm(total=size, desc=title, unit="B", unit_scale=True, disable=not shown) as bar:
        pool = ThreadPoolExecutor(_THREADS)
        try:
            running = [pool.submit(job, bar.update) for job in jobs]
            wait(running, return_when=FIRST_EXCEPTION)
            failed = next((f.exception() for f in running if f.done() and not f.cancelled() and f.exception()), None)
            if failed:
                raise failed
            return [future.result() for future in running]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def local_copy(address: Address, kind: str) -> Path:
    """Return the folder on this machine that stands for one in the store.

    Args:
        address: The folder in the store.
        kind: `data` or `output`.

    Returns:
        A folder below $MINDRESTORE_CLOUD_CACHE, else /cache (the local disk of ModelArts), else ~/.cache/mindrestore.
    """
    given = os.environ.get("MINDRESTORE_CLOUD_CACHE")
    if given:
        root = Path(given)
    else:
        disk = Path("/cache")
        root = (disk if disk.is_dir() and os.access(disk, os.W_OK) else Path.home() / ".cache") / "mindrestore"
    return root / kind / address.bucket / address.key
