"""Objects of OBS, or of any store that speaks S3, through the official client, with retries and clear errors."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import random
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

from mindrestore.cloud.address import Address, CloudError, Remote, checked_name
from mindrestore.cloud.checksum import MIB

PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds between attempts
_TIMEOUT = 60  # seconds without an answer
_PAGE = 1000  # objects per answer
_PART_SIZE = "mindrestore-part-size"
_BUSY = {408, 429}
_AGAIN = {"BadDigest", "RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "IncompleteBody"}
_WRONG_KEY = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSecurity"}
_OLD_TOKEN = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "RequestTimeTooSkewed"}


class OpenObject(NamedTuple):
    """An open object: the stream, the store's checksum ("" when it is none), and bytes per part, if known."""

    stream: Any
    etag: str
    part_size: int


class ObsStore:
    """Read and write objects.

    Args:
        client: The official client (`obs.ObsClient`).
        part_size: Larger files are sent in parts of so many bytes; at least 5 MiB.
        patience: Seconds to wait before each further attempt; as many attempts as there are numbers, and one.
    """

    def __init__(self, client: Any, part_size: int = 16 * MIB, patience: Sequence[float] = PATIENCE) -> None:
        self.client, self.part_size, self.patience = client, part_size, tuple(patience)

    @classmethod
    def from_environment(cls) -> ObsStore:
        """Make a store of OBS_SERVER, OBS_ACCESS_KEY_ID, OBS_SECRET_ACCESS_KEY and what else docs/cloud.md lists.

        Raises:
            CloudError: A variable or the official client is missing; values are never shown.
        """
        try:
            import certifi  # comes with the client
            from obs import ObsClient
        except ImportError as error:
            raise CloudError("obs:// addresses need the official client: pip install 'mindrestore[obs]'") from error
        names = ("OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SERVER")
        absent = [name for name in names if not os.environ.get(name)]
        if absent:
            raise CloudError(f"obs:// addresses need {', '.join(absent)} in the environment; see docs/cloud.md")
        key, secret, server = (os.environ[name] for name in names)
        client = ObsClient(
            access_key_id=key,
            secret_access_key=secret,
            security_token=os.environ.get("OBS_SECURITY_TOKEN") or None,
            server=server,
            signature=os.environ.get("OBS_SIGNATURE") or "obs",
            path_style=os.environ.get("OBS_PATH_STYLE") == "1",
            region=os.environ.get("OBS_REGION") or "region",
            ssl_verify=os.environ.get("OBS_CA_FILE") or certifi.where(),  # the client's default is not to look
            max_retry_count=0,  # attempts are counted here
            timeout=_TIMEOUT,
        )
        return cls(client)

    def list(self, folder: Address) -> list[Remote]:
        """List all objects of a folder, in the store's order.

        Raises:
            CloudError: The bucket does not exist, or the key may not list it.
        """
        found, marker = [], None
        while True:
            options = {"prefix": folder.prefix or None, "marker": marker, "max_keys": _PAGE}
            page = self._call("list", folder, lambda o=options: self.client.listObjects(folder.bucket, **o)).body
            for entry in page.contents:
                name = entry.key[len(folder.prefix) :]
                if name and not name.endswith("/"):  # a key with a slash at its end stands for a folder
                    address = Address(folder.bucket, entry.key)
                    found.append(Remote(checked_name(name, folder), address, int(entry.size), _bare(entry.etag)))
            if not page.is_truncated:
                return found
            marker = page.next_marker or page.contents[-1].key

    def find(self, address: Address) -> Remote | None:
        """Return one object; None when there is none of this key."""
        try:
            answer = self._call("read", address, lambda: self.client.getObjectMetadata(*address))
        except _NoObject:
            return None
        return Remote(address.key.rpartition("/")[2], address, int(answer.body.contentLength), _bare(answer.body.etag))

    def put(self, address: Address, content: bytes) -> None:
        """Write an object whole; the store compares its checksum before it keeps it.

        Raises:
            CloudError: The store does not take it.
        """
        from obs import PutObjectHeader

        headers = PutObjectHeader(md5=_md5(content))
        self._call("write", address, lambda: self.client.putContent(*address, content=content, headers=headers))

    @contextmanager
    def open(self, address: Address, start: int = 0) -> Iterator[OpenObject]:
        """Open an object, from a byte on. Reading it is not repeated here: see `files.fetch_file`."""
        from obs import GetObjectHeader

        headers = GetObjectHeader(range=f"bytes={start}-" if start else None)
        answer = self._call("read", address, lambda: self.client.getObject(*address, headers=headers))
        stream = answer.body.response
        try:
            said = {name.lower(): value for name, value in answer.header}
            encrypted = any("server-side-encryption" in name for name in said)  # its ETag is not an MD5 sum then
            yield OpenObject(stream, "" if encrypted else _bare(said.get("etag")), int(said.get(_PART_SIZE, 0)))
        finally:
            stream.close()

    def send_parts(
        self, address: Address, stream: BinaryIO, parts: Sequence[tuple[int, int]], report: Callable[[int], None]
    ) -> None:
        """Write an object in parts; parts that an interrupted attempt left in the store are not sent again.

        Args:
            address: Where to.
            stream: The open file.
            parts: (start, length) of each part.
            report: Called with the bytes of every part that is in the store.

        Raises:
            CloudError: The store does not take them.
        """
        from obs import CompleteMultipartUploadRequest, CompletePart

        upload, present = self._pending(address, parts[0][1])
        done = []
        for number, (start, length) in enumerate(parts, 1):
            stream.seek(start)
            content = stream.read(length)
            if present.get(number) != (hashlib.md5(content).hexdigest(), length):
                self._send_part(address, upload, number, content)
            done.append(CompletePart(number, f'"{hashlib.md5(content).hexdigest()}"'))
            report(length)
        request = CompleteMultipartUploadRequest(done)
        self._call("write", address, lambda: self.client.completeMultipartUpload(*address, upload, request))

    def _send_part(self, address: Address, upload: str, number: int, content: bytes) -> None:
        checked = {"content": content, "md5": _md5(content)}
        self._call("write", address, lambda: self.client.uploadPart(*address, number, upload, **checked))

    def _pending(self, address: Address, part_size: int) -> tuple[str, Mapping[int, tuple[str, int]]]:
        """Find an upload of this object that was broken off, with its parts, or begin one."""
        from obs import ListMultipartUploadsRequest

        request = ListMultipartUploadsRequest(prefix=address.key)
        answer = self._call("list", address, lambda: self.client.listMultipartUploads(address.bucket, request))
        for upload in reversed([upload for upload in answer.body.upload if upload.key == address.key]):
            number = upload.uploadId
            listed = self._call("list", address, lambda n=number: self.client.listParts(*address, n, maxParts=_PAGE))
            parts = {int(part.partNumber): (_bare(part.etag), int(part.size)) for part in listed.body.parts}
            if 1 in parts and parts[1][1] == part_size:
                return number, parts
            self._call("write", address, lambda n=number: self.client.abortMultipartUpload(*address, n))
        metadata = {_PART_SIZE: str(part_size)}
        begun = self._call("write", address, lambda: self.client.initiateMultipartUpload(*address, metadata=metadata))
        return begun.body.uploadId, {}

    def _call(self, verb: str, address: Address, request: Callable[[], Any]) -> Any:
        """Make a request until it succeeds, cannot succeed, or patience is over."""
        for wait in (*self.patience, None):
            try:
                answer = request()
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, ssl.SSLCertVerificationError):
                    raise CloudError(f"{address}: the store's certificate is not trusted; set OBS_CA_FILE") from error
                reason = f"the store cannot be reached ({type(error).__name__}); check OBS_SERVER and the network"
            else:
                if answer.status < 300:
                    return answer
                code = re.sub(r"[^A-Za-z0-9.]", "", str(answer.errorCode or answer.reason or ""))[:60]
                if not (answer.status >= 500 or answer.status in _BUSY or code in _AGAIN):
                    raise _refusal(verb, address, answer.status, code)
                reason = f"the store answers {answer.status} {code}".rstrip()
            if wait is not None:
                time.sleep(wait * random.uniform(0.75, 1.25))  # not all ranks at the same moment
        raise CloudError(
            f"{address}: cannot {verb} after {len(self.patience) + 1} attempts: {reason}; repeat the command to "
            "continue"
        )


class _NoObject(CloudError):
    """Report that there is no object of this key."""


def _refusal(verb: str, address: Address, status: int, code: str) -> CloudError:
    if code in _WRONG_KEY or status == 401:
        return CloudError(
            f"{address}: the store does not know this key ({code}); check OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY"
        )
    if code in _OLD_TOKEN:
        return CloudError(
            f"{address}: the key has expired ({code}); renew it and OBS_SECURITY_TOKEN, and check the clock"
        )
    if code == "NoSuchBucket":
        return CloudError(f"{address}: there is no bucket {address.bucket}; check its name and OBS_SERVER")
    if status == 404:
        return _NoObject(f"{address}: there is no such object; check the address")
    if status == 403:
        return CloudError(f"{address}: no permission to {verb} here ({code}); ask the owner of the bucket for it")
    return CloudError(f"{address}: cannot {verb}: the store answers {status} {code}".rstrip())


def _bare(etag: str | None) -> str:
    return (etag or "").strip('"').lower()


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()
