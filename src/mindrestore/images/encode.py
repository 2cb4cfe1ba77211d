"""Encode a picture as a file, with its metadata as far as the format holds them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from PIL import Image

from mindrestore.images import png
from mindrestore.images.metadata import BROKEN, fitting_exif, tiff_directory

_JPEG = {"format": "JPEG", "quality": 95, "subsampling": 0}
_PILLOW_OPTIONS = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".jfif": _JPEG,
    ".jpe": _JPEG,
    ".webp": {"format": "WEBP", "lossless": True, "exact": True},
}
_PILLOW_METADATA = ("exif", "xmp", "icc_profile", "dpi", "comment")
# What is said when it is left out -> the formats that hold it; the dots per inch of a screen are nobody's loss
_TITLES = {"icc_profile": "colour profile", "exif": "EXIF data", "xmp": "XMP packet", "comment": "comment"}
_TITLES["chunks"] = "PNG texts and notes on colours"
_NOT_HELD = {
    ".bmp": tuple(_TITLES),
    ".webp": ("comment", "chunks"),
    ".tif": ("comment", "chunks"),
    ".tiff": ("comment", "chunks"),
    ".png": (),
}
_SEGMENT = 65533  # bytes that a JPEG segment holds
_XMP_HEAD = 29
_LARGEST_SIDES = {"JPEG": 65500, "WEBP": 16383}

Encoded = tuple[bytes, tuple[str, ...]]


def encode(pixels: np.ndarray, suffix: str, metadata: Mapping[str, Any]) -> Encoded:
    """Encode a picture.

    Args:
        pixels: (H, W), (H, W, 2) grey with transparency, (H, W, 3) or (H, W, 4); uint8, or uint16 for PNG and TIFF.
        suffix: Format, in lower case.
        metadata: As in `photos.Photo`.

    Returns:
        The file, and one line for each part of the metadata that it could not hold.

    Raises:
        ValueError: If the format cannot hold the pixels; also OSError, KeyError or cv2.error of the encoder.
    """
    lost = [_TITLES[key] for key in _NOT_HELD.get(suffix, ("chunks",)) if key in metadata]
    notes = [f"{suffix} does not hold its {', '.join(lost)}: left out"] if lost else []
    if suffix == ".bmp":
        return _by_opencv(pixels, suffix), tuple(notes)
    if suffix in (".tif", ".tiff"):
        write = _tiff
    elif suffix == ".png":
        write = _png
    else:
        metadata, cut = _fitting(metadata, suffix)
        notes += cut

        def write(pixels: np.ndarray, kept: Mapping[str, Any]) -> bytes:
            return _by_pillow(pixels, suffix, kept)

    data, more = _surely(lambda kept: write(pixels, kept), metadata)
    return data, (*notes, *more)


def _surely(write: Any, metadata: Mapping[str, Any]) -> Encoded:
    """Encode with the metadata; where they cannot be written, without: the picture matters."""
    try:
        return write(metadata), ()
    except BROKEN as error:
        if not metadata:
            raise
        return write({}), (f"its metadata cannot be written ({str(error) or type(error).__name__}) and are left out",)


def _fitting(metadata: Mapping[str, Any], suffix: str) -> tuple[dict[str, Any], list[str]]:
    """Cut what a JPEG segment cannot hold."""
    kept, notes = {key: metadata[key] for key in _PILLOW_METADATA if key in metadata}, []
    if _PILLOW_OPTIONS[suffix] is not _JPEG:
        return kept, notes
    if len(kept.get("exif", b"")) > _SEGMENT:
        shorter, note = fitting_exif(kept.pop("exif"), _SEGMENT)
        kept.update({"exif": shorter} if shorter else {})
        notes.append(note)
    for key, most, title in (("xmp", _SEGMENT - _XMP_HEAD, "XMP packet"), ("comment", _SEGMENT, "comment")):
        if len(kept.get(key, b"")) > most:
            notes.append(f"its {title} has {len(kept.pop(key)) / 1024:.0f} kB, more than JPEG holds, and is left out")
    return kept, notes


def _by_pillow(pixels: np.ndarray, suffix: str, metadata: Mapping[str, Any]) -> bytes:
    options = _PILLOW_OPTIONS[suffix]
    most = _LARGEST_SIDES[options["format"]]
    if max(pixels.shape[:2]) > most:
        raise ValueError(f"{pixels.shape[1]}x{pixels.shape[0]} pixels, it holds {most} a side")
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, **options, **metadata)
    return stream.getvalue()


def _png(pixels: np.ndarray, metadata: Mapping[str, Any]) -> bytes:
    if pixels.dtype == np.uint16:
        data = _by_opencv(pixels, ".png")
    else:
        stream = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format="PNG")
        data = stream.getvalue()
    chunks = list(metadata.get("chunks", ()))
    if "icc_profile" in metadata:
        chunks.insert(0, png.profile_chunk(metadata["icc_profile"]))
    if "dpi" in metadata:
        chunks.append(png.density_chunk(metadata["dpi"]))
    if "exif" in metadata:
        exif = metadata["exif"]
        chunks.append((b"eXIf", exif[6:] if exif.startswith(b"Exif\0\0") else exif))
    if "xmp" in metadata:
        chunks.append(png.xmp_chunk(metadata["xmp"]))
    if "comment" in metadata:
        chunks.append((b"tEXt", b"Comment\0" + metadata["comment"].replace(b"\0", b"")))
    return png.with_chunks(data, chunks)


def _by_opencv(pixels: np.ndarray, suffix: str) -> bytes:
    if pixels.ndim == 3:
        if pixels.shape[2] == 2:
            pixels = pixels[..., [0, 0, 0, 1]]
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]  # OpenCV writes BGR
    if suffix == ".bmp" and pixels.ndim == 3 and pixels.shape[2] == 4:
        return _transparent_bmp(pixels)
    done, data = cv2.imencode(suffix, np.ascontiguousarray(pixels))
    if not done:
        raise ValueError(f"the encoder refused {pixels.shape}")
    return data.tobytes()


def _transparent_bmp(pixels: np.ndarray) -> bytes:
    """Write BGRA with a header that says which byte is the transparency; without it readers take it for padding."""
    data = pixels[::-1].tobytes()
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    sizes = struct.pack("<IiiHHIIiiII", 56, pixels.shape[1], pixels.shape[0], 1, 32, 3, len(data), 2835, 2835, 0, 0)
    start = 14 + len(sizes) + len(masks)
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + sizes + masks + data


def _tiff(pixels: np.ndarray, metadata: Mapping[str, Any]) -> bytes:
    """Write a TIFF file in one strip: Pillow has 16 bits for grey images only, OpenCV no metadata."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    data = zlib.compress(pixels.astype(pixels.dtype.newbyteorder("<")).tobytes())
    directory = tiff_directory(metadata)
    directory[256], directory[257] = pixels.shape[1], pixels.shape[0]
    directory[258], directory[277] = (8 * pixels.itemsize,) * channels, channels
    directory[259] = 8  # compressed by zlib
    directory[262] = 1 if channels < 3 else 2  # black is zero, RGB
    directory[273], directory[278], directory[279] = 0, pixels.shape[0], len(data)
    directory.tagtype[273] = 4
    if channels in (2, 4):
        directory[338] = 2  # transparency that is not multiplied in
    stream = io.BytesIO()
    directory.save(stream)
    stream.write(data)
    return stream.getvalue()
