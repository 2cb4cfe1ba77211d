"""Addresses in object storage: `obs://BUCKET/KEY`."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import NamedTuple

from mindrestore.errors import MindRestoreError
from mindrestore.recipes.values import SCHEME, is_address


class CloudError(MindRestoreError):
    """Report a copy from or to object storage that did not work; the message holds no credentials."""


class Address(NamedTuple):
    """The place of an object, or of a folder of objects.

    Attributes:
        bucket: Name of the bucket.
        key: What follows it, without slashes at either end; empty for the whole bucket.
    """

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}".rstrip("/")

    @property
    def prefix(self) -> str:
        """What the keys of everything in this folder begin with."""
        return f"{self.key}/" if self.key else ""

    def child(self, name: str) -> Address:
        """Return the address of something in this folder."""
        return Address(self.bucket, self.prefix + name)


class Remote(NamedTuple):
    """What a store says about an object.

    Attributes:
        name: Its key without that of the folder that was listed.
        address: Its place.
        size: Bytes.
        etag: The store's checksum: MD5 of the object, or of the MD5s of its parts followed by `-` and their number;
            empty where the store gives none.
    """

    name: str
    address: Address
    size: int
    etag: str


def parse_address(text: str) -> Address:
    """Read an address.

    Args:
        text: `obs://BUCKET/KEY`; slashes at the end change nothing.

    Returns:
        Bucket and key.

    Raises:
        CloudError: It is none, or something like a password stands in it.
    """
    bucket, _, key = str(text)[len(SCHEME) :].partition("/")
    if "@" in bucket or ":" in bucket:
        raise CloudError("an obs:// address holds a bucket and a key, no credentials; those come from the environment")
    if not is_address(text) or not bucket:
        raise CloudError(f"{text}: not an address in object storage; write obs://BUCKET/KEY")
    return Address(bucket, key.strip("/"))


def checked_name(name: str, folder: Address) -> str:
    """Return the name of an object if it may become a path below a folder.

    Raises:
        CloudError: It would lead out of the folder.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise CloudError(f"{folder}: an object is named {name!r}, which leads out of it; rename it in the store")
    return name
