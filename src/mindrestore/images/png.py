"""PNG files as chunks: what a picture needs, and what belongs to it.

A decoder is given the needed chunks only, so that no text, profile or EXIF, however large or damaged, keeps a good
picture back; those that describe the picture are put back byte for byte.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

_MARK = b"\x89PNG\r\n\x1a\n"
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# What the numbers of a pixel mean: without these, viewers show other tones
COLOUR_KINDS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"mDCV", b"cLLI")
TEXT_KINDS = (b"tEXt", b"zTXt", b"iTXt", b"tIME")
RAW_EXIF = (b"Raw profile type exif", b"Raw profile type APP1")
_XMP = b"XML:com.adobe.xmp\0"
_MOST_PROFILE = 1 << 26  # bytes; a profile of 64 MB is none

Chunk = tuple[bytes, bytes]  # kind, content


class Png(NamedTuple):
    """A PNG file with nothing but its pixels, its other chunks, and its bits per sample and number of pictures."""

    lean: bytes
    others: tuple[Chunk, ...]
    bits: int
    pictures: int


def is_png(data: bytes) -> bool:
    """Return whether a file begins as PNG does."""
    return data[:8] == _MARK


def split(data: bytes) -> Png:
    """Part a PNG file; one that ends early keeps what is there, for the decoder to report."""
    needed, others, pictures, place = [_MARK], [], 1, 8
    while place + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        end = place + 12 + length
        if kind in _NEEDED:
            needed.append(data[place:end])
        else:
            content = data[place + 8 : end - 4]
            others.append((kind, content))
            if kind == b"acTL" and len(content) >= 4:
                pictures = struct.unpack(">I", content[:4])[0]
        place = end
        if kind == b"IEND":
            break
    bits = data[24] if len(data) > 24 else 8
    return Png(b"".join(needed), tuple(others), bits, pictures)


def decode_deep(lean: bytes) -> np.ndarray:
    """Decode 16 bits per sample, of which Pillow keeps 8 for colours; (H, W), or (H, W, 3 or 4) RGB."""
    pixels = cv2.imdecode(np.frombuffer(lean, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("its 16-bit pixels cannot be decoded")
    return pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def with_chunks(data: bytes, chunks: Iterable[Chunk]) -> bytes:
    """Put chunks behind the first one of a PNG file, where each kind of them is allowed."""
    made = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return data[:33] + made + data[33:]  # behind the signature and the first chunk


def profile_of(chunks: Iterable[Chunk]) -> bytes | None:
    """Return the colour profile, or None when there is none that can be read."""
    for content in (content for kind, content in chunks if kind == b"iCCP"):
        _, _, packed = content.partition(b"\0")
        try:
            profile = zlib.decompressobj().decompress(packed[1:], _MOST_PROFILE)
        except zlib.error:
            return None
        return profile or None
    return None


def xmp_of(chunks: Iterable[Chunk]) -> bytes | None:
    """Return the XMP packet, or None."""
    for content in (content for kind, content in chunks if kind == b"iTXt" and content.startswith(_XMP)):
        packed, _, rest = content[len(_XMP)], content[len(_XMP) + 1], content[len(_XMP) + 2 :]
        text = rest.split(b"\0", 2)[-1]
        try:
            return zlib.decompressobj().decompress(text, _MOST_PROFILE) if packed else text
        except zlib.error:
            return None
    return None


def raw_exif_of(chunks: Iterable[Chunk]) -> bytes | None:
    """Return EXIF data that ImageMagick has written as text, or None."""
    for kind, content in chunks:
        keyword, _, text = content.partition(b"\0")
        if kind == b"zTXt" and keyword in RAW_EXIF:
            try:
                text = zlib.decompressobj().decompress(text[1:], _MOST_PROFILE)
            except zlib.error:
                continue
        if kind in (b"tEXt", b"zTXt") and keyword in RAW_EXIF:
            try:
                return bytes.fromhex(text.decode("ascii").split("\n", 3)[-1].replace("\n", ""))
            except ValueError:
                continue
    return None


def is_xmp(chunk: Chunk) -> bool:
    """Return whether a chunk holds the XMP packet."""
    return chunk[0] == b"iTXt" and chunk[1].startswith(_XMP)


def xmp_chunk(xmp: bytes) -> Chunk:
    """Return the chunk for an XMP packet."""
    return b"iTXt", _XMP + b"\0\0\0\0" + xmp


def profile_chunk(profile: bytes) -> Chunk:
    """Return the chunk for a colour profile."""
    return b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)


def density_chunk(dpi: tuple[float, float]) -> Chunk:
    """Return the chunk for pixels per inch."""
    across, down = (round(float(value) / 0.0254) for value in dpi)
    return b"pHYs", struct.pack(">IIB", across, down, 1)  # pixels per metre


def density_of(chunks: Iterable[Chunk]) -> tuple[float, float] | None:
    """Return pixels per inch, or None when the file does not say."""
    for content in (content for kind, content in chunks if kind == b"pHYs" and len(content) == 9):
        across, down, unit = struct.unpack(">IIB", content)
        return (across * 0.0254, down * 0.0254) if unit == 1 else None
    return None
