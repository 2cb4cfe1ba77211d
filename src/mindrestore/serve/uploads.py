"""Look at what a client sends before anything else does: its kind, its size, and a harmless name for it."""

from __future__ import annotations

import re
import struct
import unicodedata
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from mindrestore.images.decode import open_heif
from mindrestore.images.errors import ImageError
from mindrestore.images.kinds import advice, begins_raw, is_heif
from mindrestore.images.limits import check_size
from mindrestore.images.tiff import raw_message
from mindrestore.serve.limits import Limits, TooLargeError, UnrestoredError, UnsupportedTypeError

# Kind of file -> suffix it is stored under; what an image is called by its sender decides nothing.
FORMATS = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "TIFF": ".tif",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "GIF": ".gif",
    "PPM": ".ppm",
    "AVIF": ".avif",
    "JPEG2000": ".jp2",
    "HEIF": ".heic",
}
MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".tif": "image/tiff",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
}
TAKEN = "PNG, JPEG, TIFF, WebP, BMP, GIF, PPM, AVIF or HEIC"

_LONGEST_NAME = 80
_HEADER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, KeyError, IndexError, OverflowError)


@dataclass(frozen=True)
class Upload:
    """Describe an image that was sent.

    Attributes:
        name: Its name, harmless in messages, headers and file systems.
        suffix: Suffix of its kind, as found in its first bytes.
        width: Columns as stored, before any turn (pixels).
        height: Rows as stored (pixels).
        stream: Its bytes.
    """

    name: str
    suffix: str
    width: int
    height: int
    stream: BinaryIO

    @property
    def result_suffix(self) -> str:
        """Return the suffix of the result: that of the image, or .png for kinds that are only read."""
        return self.suffix if self.suffix in MEDIA_TYPES else ".png"

    @property
    def result_name(self) -> str:
        """Return the name under which the result is offered."""
        return f"{self.name.rsplit('.', 1)[0] or 'image'}_restored{self.result_suffix}"


def clean_name(name: str | None) -> str:
    """Make a harmless name of one that a client gave: the last part of a path, without control or special characters.

    Args:
        name: Whatever was sent.

    Returns:
        At least one and at most 80 characters: letters, digits, spaces and `._-()`; it never begins with a dot.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name or ""))[-1]
    clean = re.sub(r"[^\w .()-]", "_", last).strip(" .")
    stem, dot, suffix = clean.rpartition(".")
    if dot and len(clean) > _LONGEST_NAME:
        clean = f"{stem[: _LONGEST_NAME - 8]}.{suffix[:7]}"
    return clean[:_LONGEST_NAME] or "image"


def inspect_upload(stream: BinaryIO, name: str | None, limits: Limits) -> Upload:
    """Find the kind and size of an image from its first bytes; its pixels are not decoded.

    Args:
        stream: The file that was sent, seekable.
        name: What the client calls it.
        limits: Most bytes and pixels.

    Returns:
        What was found; the stream is at its beginning again.

    Raises:
        TooLargeError: Too many bytes or pixels.
        UnsupportedTypeError: No image of a kind that is taken.
        UnrestoredError: Empty, or its header is damaged.
    """
    name, size = clean_name(name), stream.seek(0, 2)
    stream.seek(0)
    if size == 0:
        raise UnrestoredError(f"{name}: the file is empty (0 bytes); choose it again", "empty")
    if size > limits.max_bytes:
        raise too_many_bytes(name, limits)
    beginning = stream.read(64)
    stream.seek(0)
    if is_heif(beginning):
        open_heif()
    Image.init()
    try:
        with Image.open(stream, formats=[kind for kind in FORMATS if kind != "MPO" and kind in Image.OPEN]) as image:
            kind, (width, height) = image.format, image.size
    except UnidentifiedImageError as error:
        raise _unsupported(name, beginning) from error
    except _HEADER_ERRORS as error:
        raise UnrestoredError(f"{name}: damaged image ({error}); copy or export it again", "damaged") from error
    if width * height > limits.max_pixels:
        raise TooLargeError(
            f"{name}: {width}x{height} is {width * height:,} pixels, more than the limit of "
            f"{limits.max_pixels:,}; make it smaller, or start the server with a larger --max-pixels"
        )
    try:
        check_size(Path(name), width, height)
    except ImageError as error:
        raise TooLargeError(str(error)) from error
    stream.seek(0)
    return Upload(name, FORMATS[kind], width, height, stream)


def _unsupported(name: str, beginning: bytes) -> UnsupportedTypeError:
    """Make the error for a file that is not read: what it is, and what to do with it."""
    if is_heif(beginning):
        if find_spec("pillow_heif"):
            return UnsupportedTypeError(
                f"{name}: a damaged HEIC photograph; copy it again, or export it as JPEG", "heic"
            )
        return UnsupportedTypeError(
            f"{name}: HEIC photographs (of an iPhone) cannot be read by this server; export it as JPEG, or install "
            "pillow-heif beside the server: pip install 'mindrestore[heif]'",
            "heic",
        )
    if begins_raw(beginning):
        return UnsupportedTypeError(raw_message(Path(name)))
    said = advice(beginning)
    if said:
        return UnsupportedTypeError(f"{name}: {said}")
    return UnsupportedTypeError(f"{name}: not an image that can be read; send {TAKEN}")


def too_many_bytes(name: str, limits: Limits) -> TooLargeError:
    """Make the error for a file that is too long."""
    return TooLargeError(
        f"{name}: larger than the limit of {limits.max_bytes:,} bytes; make it smaller, or start the server with a "
        "larger --max-bytes"
    )
