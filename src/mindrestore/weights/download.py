"""Fetch files from a path, a web address or object storage: resumed, checked, complete or not at all."""

from __future__ import annotations

import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import unquote, urlsplit

from mindrestore.files import cache_folder
from mindrestore.weights.errors import WeightError
from mindrestore.weights.files import sha256_of

_BLOCK = 1 << 20  # bytes
_TIMEOUT = 30.0  # seconds without a byte
_SIGNED_SECONDS = 24 * 3600  # how long a signed address of object storage is good for
_PARTIAL = ".part"


class OpenSource(NamedTuple):
    """An open source: the stream, the byte it begins with, and the size of the whole, if it is known."""

    stream: BinaryIO
    start: int
    total: int | None


def is_address(source: str | os.PathLike[str]) -> bool:
    """Return whether this is an address (`https://`, `file://`, `obs://`) and no path."""
    return "://" in str(source)


def fetch(
    source: str | os.PathLike[str], folder: str | os.PathLike[str] | None = None, sha256: str | None = None
) -> Path:
    """Return a local file for a path or an address, verified.

    A download goes to `NAME.part` first. What is there already is not loaded again: an interrupted download goes on
    where it stopped, if the server can do that, and a complete one in the folder is taken as it is.

    Args:
        source: path, or `file://`, `http://`, `https://` or `obs://BUCKET/KEY` address.
        folder: where downloads go; by default `cache_folder()`.
        sha256: expected checksum, or its first digits.

    Returns:
        The path itself, or the downloaded file.

    Raises:
        WeightError: nothing is there, the connection broke off, or the checksum is another.
    """
    if not is_address(source):
        path = Path(source)
        if not path.is_file():
            raise WeightError(f"{path}: no such file; use a weight file or an address")
        verify(path, sha256)
        return path
    parts = urlsplit(str(source))
    name = Path(unquote(parts.path)).name
    if parts.scheme not in _OPENERS or not name:
        raise WeightError(f"{source}: weights come from {'://, '.join(_OPENERS)}:// addresses of files, or from paths")
    target = Path(folder or cache_folder()) / name
    if not target.is_file():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _download(str(source), target, sha256)
        except OSError as error:
            raise WeightError(f"{target}: {error.strerror or error}; choose another folder") from error
    verify(target, sha256)
    return target


def verify(path: Path, sha256: str | None) -> None:
    """Compare a file's checksum.

    Args:
        path: the file.
        sha256: expected checksum, or its first digits; None accepts any.

    Raises:
        WeightError: it is another; the message names both.
    """
    found = sha256_of(path) if sha256 else ""
    if sha256 and not found.startswith(sha256.lower()):
        raise WeightError(
            f"{path}: SHA-256 is {found}, expected {sha256}: another or a damaged file; delete it and get it again"
        )


def _download(source: str, target: Path, sha256: str | None) -> None:
    part = target.with_name(target.name + _PARTIAL)
    present = part.stat().st_size if part.is_file() else 0
    with _OPENERS[urlsplit(source).scheme](source, present) as incoming:
        with part.open("ab" if incoming.start else "wb") as stream:
            try:
                shutil.copyfileobj(incoming.stream, stream, _BLOCK)
            except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
                raise WeightError(f"{source}: stopped ({error}); repeat the command to continue from there") from error
        size, total = part.stat().st_size, incoming.total
    if total is not None and size < total:
        raise WeightError(
            f"{source}: stopped after {size:,} of {total:,} bytes; repeat the command to continue from there"
        )
    try:
        if total is not None and size > total:
            raise WeightError(f"{source}: {size:,} bytes instead of {total:,}; get it again")
        verify(part, sha256)
    except WeightError:
        part.unlink()  # to go on from it would fail for ever
        raise
    os.replace(part, target)


@contextmanager
def _open_file(source: str, present: int) -> Iterator[OpenSource]:
    path = Path(urllib.request.url2pathname(urlsplit(source).path))
    if not path.is_file():
        raise WeightError(f"{source}: no such file")
    total = path.stat().st_size
    start = present if present <= total else 0
    with path.open("rb") as stream:
        stream.seek(start)
        yield OpenSource(stream, start, total)


@contextmanager
def _open_web(source: str, present: int) -> Iterator[OpenSource]:
    """Ask for what is not there yet; a server that cannot give parts gives the whole."""
    shown = source.partition("?")[0]  # a signed address holds a key
    try:
        response = _request(source, present)
    except urllib.error.HTTPError as error:
        raise WeightError(f"{shown}: the server answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise WeightError(f"{shown}: cannot be reached ({reason}); check the address and the network") from error
    with response:
        start = present if response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
        length = response.headers.get("Content-Length")
        yield OpenSource(response, start, start + int(length) if length and length.isdigit() else None)


def _request(source: str, present: int) -> http.client.HTTPResponse:
    ranges = {"Range": f"bytes={present}-"} if present else {}
    try:
        return urllib.request.urlopen(urllib.request.Request(source, headers=ranges), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if not present or error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
    return _request(source, 0)  # the part was complete already, or is not of this file


@contextmanager
def _open_obs(source: str, present: int) -> Iterator[OpenSource]:
    """Let Huawei's client sign an address, and read that."""
    try:
        from obs import ObsClient
    except ImportError as error:
        raise WeightError(f"{source}: needs the client of OBS: pip install 'mindrestore[obs]'") from error
    names = ("OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SERVER")
    absent = [name for name in names if not os.environ.get(name)]
    if absent:
        raise WeightError(f"{source}: set {', '.join(absent)} in the environment")
    key, secret, server = (os.environ[name] for name in names)
    client = ObsClient(
        access_key_id=key,
        secret_access_key=secret,
        security_token=os.environ.get("OBS_SECURITY_TOKEN"),
        server=server,
        path_style=os.environ.get("OBS_PATH_STYLE") == "1",
    )
    try:
        parts = urlsplit(source)
        signed = client.createSignedUrl("GET", parts.netloc, parts.path.lstrip("/"), expires=_SIGNED_SECONDS)
        with _open_web(signed.signedUrl, present) as incoming:
            yield incoming
    finally:
        client.close()


_OPENERS = {"file": _open_file, "http": _open_web, "https": _open_web, "obs": _open_obs}
