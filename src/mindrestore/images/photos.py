"""Read and write photographs with all that belongs to them: grey, transparency, colour profile and metadata."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, PngImagePlugin, TiffImagePlugin

from mindrestore.files import PathLike, write_bytes
from mindrestore.images.errors import ImageError
from mindrestore.images.pixels import turn_upright
from mindrestore.images.read import read_image

PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")

_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L")
_ORIENTATION, _EXIF, _GPS = 274, 34665, 34853
_EXIF_SIDES = (40962, 40963)  # width and height of the pixels
# What a TIFF file says about the picture; its other tags describe how the pixels are stored, which changes.
_TIFF_TAGS = (270, 271, 272, 305, 306, 315, 33432, _EXIF, _GPS)
_PILLOW_OPTIONS = {
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".png": {"format": "PNG"},
    ".webp": {"format": "WEBP", "lossless": True, "exact": True},
}


@dataclass(frozen=True)
class Photo:
    """A photograph, upright.

    Attributes:
        pixels: (H, W, 3) RGB or (H, W) grey, uint8 or uint16.
        alpha: (H, W) transparency of the same type; None for none.
        metadata: What the file says beside: `icc_profile`, `exif` and `xmp` (bytes), `dpi`, `comment`, `text`.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read_photo(path: PathLike) -> Photo:
    """Read a photograph and what belongs to it.

    Args:
        path: File that `read_image` accepts.

    Returns:
        The photograph; its metadata no longer ask for a turn.

    Raises:
        ImageError: The file is missing, empty, damaged, no image, of floating point, or holds several pictures.
    """
    path = Path(path)
    try:
        pixels = read_image(path)
    except ImageError:
        _refuse_floating_point(path)
        raise
    with Image.open(path) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format in ("GIF", "PNG", "WEBP", "TIFF"):
            raise ImageError(f"{path}: holds {frames} pictures; save each as its own file, or make a video of them")
        image.load()
        orientation = image.getexif().get(_ORIENTATION, 1)
        alpha = None
        if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
            alpha = turn_upright(_read_alpha(path, image, pixels.dtype)[..., None], orientation)[..., 0]
        grey = image.mode in _GREY_MODES
        return Photo(pixels[..., 0] if grey else pixels, alpha, _metadata(image, pixels.shape[1::-1], grey))


def write_photo(path: PathLike, photo: Photo) -> None:
    """Write a photograph in one step: the file is complete or absent, and an old one survives a failure.

    Args:
        path: Destination, of `PHOTO_SUFFIXES`; PNG and TIFF keep 16 bits, others 8; JPEG has no transparency and BMP no
            metadata. JPEG has quality 95, the others lose nothing.
        photo: What to write.

    Raises:
        ImageError: The format cannot hold it, or the folder or the disk does not allow it.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    pixels = photo.pixels
    if photo.alpha is not None and suffix not in (".jpg", ".jpeg"):
        colours = pixels if pixels.ndim == 3 else pixels[..., None]
        pixels = np.concatenate((colours, photo.alpha[..., None]), axis=2)
    if pixels.dtype == np.uint16 and suffix not in (".png", ".tif", ".tiff"):
        pixels = np.rint(pixels / 257).astype(np.uint8)
    try:
        if suffix in (".tif", ".tiff"):
            data = _tiff(pixels, photo.metadata)
        elif pixels.dtype == np.uint16:
            data = _png_of_16_bits(pixels, photo.metadata)
        elif suffix == ".bmp":
            data = _by_opencv(pixels, suffix)
        else:
            data = _by_pillow(pixels, suffix, photo.metadata)
    except (OSError, ValueError, KeyError, cv2.error) as error:
        raise ImageError(f"{path}: {suffix} cannot hold this image ({error}); convert the input to PNG") from error
    write_bytes(path, data)


def _refuse_floating_point(path: Path) -> None:
    if path.suffix.lower() not in (".tif", ".tiff") or not path.is_file():
        return
    data = np.fromfile(path, np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if pixels is not None and pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"{path}: pixels of type {pixels.dtype} (HDR) have no fixed white; save it with 8 or 16 bits per channel"
        )


def _read_alpha(path: Path, image: Image.Image, dtype: np.dtype) -> np.ndarray:
    if dtype == np.uint16:  # Pillow gives 8 bits of it
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels.ndim == 3 and pixels.shape[2] == 4:
            return pixels[..., 3]
    alpha = np.asarray(image.convert("RGBA").getchannel("A"))
    return alpha.astype(np.uint16) * 257 if dtype == np.uint16 else alpha


def _metadata(image: Image.Image, sides: tuple[int, int], grey: bool) -> dict[str, Any]:
    """Collect what a file says beside its pixels; sides: width and height of the upright image."""
    info = image.info
    found = {
        "icc_profile": _fitting_profile(info.get("icc_profile"), grey),
        "exif": _upright_exif(image, sides),
        "xmp": _upright_xmp(info.get("xmp") or info.get("XML:com.adobe.xmp")),
        "dpi": info.get("dpi"),
        "comment": info.get("comment"),
        "text": {key: str(text) for key, text in getattr(image, "text", {}).items() if key != "XML:com.adobe.xmp"},
    }
    return {key: value for key, value in found.items() if value}


def _fitting_profile(profile: bytes | None, grey: bool) -> bytes | None:
    """Keep a profile that describes the pixels as they are written: a CMYK file becomes RGB."""
    return profile if profile and profile[16:20] == (b"GRAY" if grey else b"RGB ") else None


def _upright_exif(image: Image.Image, sides: tuple[int, int]) -> bytes | None:
    exif = image.getexif()
    exif.pop(_ORIENTATION, None)
    if image.format == "TIFF":
        for tag in [tag for tag in exif if tag not in _TIFF_TAGS]:
            del exif[tag]
    if _EXIF in exif:
        details = exif.get_ifd(_EXIF)
        details.update({tag: side for tag, side in zip(_EXIF_SIDES, sides) if tag in details})
    if _GPS in exif:
        exif.get_ifd(_GPS)  # its entries are written when they were read
    try:
        return exif.tobytes() if len(exif) else None
    except (struct.error, TypeError, ValueError, OverflowError):  # cameras write broken entries; the picture matters
        return None


def _upright_xmp(xmp: bytes | str | None) -> bytes | None:
    data = xmp.encode() if isinstance(xmp, str) else xmp
    return re.sub(rb'(tiff:Orientation(?:="|>))[2-8]', rb"\g<1>1", data) if data else None


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


def _by_pillow(pixels: np.ndarray, suffix: str, metadata: Mapping[str, Any]) -> bytes:
    options = {**_PILLOW_OPTIONS[suffix], **{key: value for key, value in metadata.items() if key != "text"}}
    if options["format"] == "PNG":
        options.pop("comment", None)
        options["pnginfo"] = texts = PngImagePlugin.PngInfo()
        for keyword, text in _png_texts(metadata).items():
            texts.add_itxt(keyword, text)
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, **options)
    return stream.getvalue()


def _png_texts(metadata: Mapping[str, Any]) -> dict[str, str]:
    xmp = {"XML:com.adobe.xmp": metadata["xmp"].decode("utf-8", "replace")} if "xmp" in metadata else {}
    return {**metadata.get("text", {}), **xmp}


def _png_of_16_bits(pixels: np.ndarray, metadata: Mapping[str, Any]) -> bytes:
    data = _by_opencv(pixels, ".png")
    chunks = b""
    if "icc_profile" in metadata:
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata["icc_profile"]))
    if "dpi" in metadata:
        across, down = (round(float(value) / 0.0254) for value in metadata["dpi"])
        chunks += _chunk(b"pHYs", struct.pack(">IIB", across, down, 1))  # pixels per metre
    if "exif" in metadata:
        chunks += _chunk(b"eXIf", metadata["exif"].removeprefix(b"Exif\0\0"))
    for keyword, text in _png_texts(metadata).items():
        chunks += _chunk(b"iTXt", keyword.encode("latin-1", "replace") + b"\0\0\0\0\0" + text.encode())
    return data[:33] + chunks + data[33:]  # behind the signature and the first chunk


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _tiff(pixels: np.ndarray, metadata: Mapping[str, Any]) -> bytes:
    """Write a TIFF file in one strip: Pillow has 16 bits for grey images only, OpenCV no metadata."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    data = zlib.compress(pixels.astype(pixels.dtype.newbyteorder("<")).tobytes())
    directory = _tiff_directory(metadata)
    directory[256], directory[257] = pixels.shape[1], pixels.shape[0]
    directory[258], directory[277] = (8 * pixels.itemsize,) * channels, channels
    directory[259] = 8  # compressed by zlib
    directory[262] = 1 if channels < 3 else 2  # black is zero, RGB
    directory[273], directory[278], directory[279] = 0, pixels.shape[0], len(data)
    directory.tagtype[273] = 4
    if channels in (2, 4):
        directory[338] = 2  # transparency that is not multiplied in
    if "icc_profile" in metadata:
        directory[34675] = metadata["icc_profile"]
    if "dpi" in metadata:
        directory[282], directory[283] = (float(value) for value in metadata["dpi"])
        directory[296] = 2  # per inch
    stream = io.BytesIO()
    directory.save(stream)
    stream.write(data)
    return stream.getvalue()


def _tiff_directory(metadata: Mapping[str, Any]) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Return the tags that say something about the picture."""
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    exif = Image.Exif()
    exif.load(metadata.get("exif"))
    for tag in exif:
        if tag in _TIFF_TAGS:
            directory[tag] = exif.get_ifd(tag) if tag in (_EXIF, _GPS) else exif[tag]
    if "xmp" in metadata:
        directory.tagtype[700] = 1
        directory[700] = metadata["xmp"]
    return directory
