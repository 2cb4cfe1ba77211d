"""Copy one file from or to object storage: complete and checked, or not at all; broken-off copies go on."""

from __future__ import annotations

import errno
import http.client
import os
import time
from collections.abc import Callable
from pathlib import Path

from mindrestore.cloud.address import Address, CloudError, Remote
from mindrestore.cloud.checksum import etag_of, matches, part_size_for
from mindrestore.cloud.obs import ObsStore

PARTIAL = ".part"
_BLOCK = 1 << 20
Report = Callable[[int], None]


def nothing(_: int) -> None:
    """Take a number of bytes and do nothing."""


def send_file(store: ObsStore, path: Path, address: Address, report: Report = nothing) -> str:
    """Write a file into the store, as it is at this moment: what is appended or renamed meanwhile does not mix in.

    Args:
        store: Where to.
        path: The file.
        address: Its place in the store.
        report: Called with numbers of bytes as they arrive.

    Returns:
        The checksum by which the store knows it.

    Raises:
        CloudError: The store does not take it, or the file became shorter meanwhile.
    """
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        part = part_size_for(size, store.part_size)
        if size <= part:
            store.put(address, stream.read(size))
            report(size)
        else:
            parts = [(start, min(part, size - start)) for start in range(0, size, part)]
            store.send_parts(address, stream, parts, report)
        if os.fstat(stream.fileno()).st_size < size:
            raise CloudError(f"{path}: became shorter while it was copied; the next copy replaces {address}")
        return etag_of(stream, size, part)


def fetch_file(store: ObsStore, remote: Remote, path: Path, report: Report = nothing) -> bool:
    """Bring an object here: into a file beside, compared with the store's checksum, and only then under its name.

    Args:
        store: Where from.
        remote: The object.
        path: The file; folders are made, an earlier one is replaced.
        report: Called with numbers of bytes as they arrive.

    Returns:
        Whether a checksum could be compared; False where the store has none that this program can compute.

    Raises:
        CloudError: The connection broke off too often, what came is not what the store has, or the disk is full.
    """
    part = path.with_name(f".{path.name}.{remote.etag or remote.size}{PARTIAL}")  # of this version of the object
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for wait in (*store.patience, None):
            verdict = _attempt(store, remote, part, report)
            if verdict is not False:
                os.replace(part, path)
                return verdict is True
            if wait is not None:
                time.sleep(wait)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CloudError(
                f"{path}: the disk is full; free some space, then repeat the command to continue"
            ) from error
        raise CloudError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from error
    raise CloudError(f"{remote.address}: did not arrive whole in {len(store.patience) + 1} attempts; try again")


def same(remote: Remote, path: Path) -> bool:
    """Return whether a file is here already, to the last bit."""
    return path.is_file() and matches(path, remote.size, remote.etag) is True


def _attempt(store: ObsStore, remote: Remote, part: Path, report: Report) -> bool | None:
    """Read on where the part ends; True: checked, None: cannot be checked, False: not whole, or not the same."""
    present = part.stat().st_size if part.is_file() else 0
    if present > remote.size or (present == remote.size and remote.size):
        part.unlink()  # complete and still here: it did not pass
        present = 0
    report(present)
    with store.open(remote.address, present) as incoming, part.open("ab" if present else "wb") as file:
        arrived = present
        try:
            while arrived < remote.size and (block := incoming.stream.read(_BLOCK)):
                file.write(block)
                arrived += len(block)
                report(len(block))
        except (http.client.HTTPException, ConnectionError, TimeoutError):
            pass  # what arrived is kept; the size below tells
        etag, part_size = incoming.etag, incoming.part_size
    if arrived != remote.size:
        report(-arrived)
        return False
    if remote.etag and etag and etag != remote.etag:
        part.unlink()
        raise CloudError(f"{remote.address}: was replaced while it was copied; run the same command again")
    verdict = matches(part, remote.size, etag, part_size)
    if verdict is False:
        part.unlink()
        report(-arrived)
    return verdict
