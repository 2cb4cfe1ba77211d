"""Decode a picture of any kind: its colours, its transparency, and what belongs to it, in one go over the file."""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageChops, UnidentifiedImageError

from mindrestore.images import png
from mindrestore.images.errors import ImageError
from mindrestore.images.kinds import DECODERS, RAW_SUFFIXES, advice, begins_as_read, begins_raw, is_heif, stored_bits
from mindrestore.images.limits import check_size
from mindrestore.images.metadata import (
    fitting_profile,
    orientation_of,
    read_exif,
    upright_exif,
    upright_xmp,
)
from mindrestore.images.pixels import from_pillow, turn_upright
from mindrestore.images.quiet import quiet_stderr
from mindrestore.images.tiff import exif_of_tiff, is_tiff, raw_message, read_tiff

# What decoders raise on damaged files; anything else is a defect of this package and must show as one.
_DECODE_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError),
    *(RuntimeError, struct.error, zlib.error, cv2.error),  # RuntimeError: AVIF and HEIC
)
_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L")
_SEVERAL = ("GIF", "WEBP", "AVIF")  # formats whose further frames are pictures of their own

Image.MAX_IMAGE_PIXELS = None  # `limits.py` has a limit of its own, which can be moved
logging.getLogger("PIL").addHandler(logging.NullHandler())  # else Python prints what Pillow logs about broken tags
cv2.setLogLevel(0)  # what OpenCV thinks of a file is said in our words


@dataclass
class Decoded:
    """A picture, upright.

    Attributes:
        colours: (H, W) grey or (H, W, 3) RGB, uint8 or uint16.
        alpha: (H, W) of the same type; None for none.
        pictures: How many pictures the file holds; this is the first.
        metadata: What the file says beside, see `photos.Photo`.
        notes: What could not be read of it, one line each.
    """

    colours: np.ndarray
    alpha: np.ndarray | None = None
    pictures: int = 1
    metadata: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass
class _Stored:
    """What a format gives: pixels as stored, and its raw metadata."""

    colours: np.ndarray
    alpha: np.ndarray | None
    pictures: int = 1
    exif: Image.Exif = field(default_factory=Image.Exif)
    xmp: bytes | None = None
    profile: bytes | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    tiff: bool = False


def decode(path: Path, data: bytes) -> Decoded:
    """Decode a picture.

    Args:
        path: Name for messages.
        data: Whole file.

    Returns:
        The picture.

    Raises:
        ImageError: If the file is damaged, no picture, too large, or of a kind that is not read.
    """
    if begins_raw(data) or (path.suffix.lower() in RAW_SUFFIXES and (is_tiff(data) or data[6:14] == b"HEAPCCDR")):
        raise ImageError(raw_message(path))
    try:
        with _quiet():
            return _upright(_stored(path, data))
    except UnidentifiedImageError as error:
        said = advice(data)
        if said:
            raise ImageError(f"{path}: {said}") from error
        if begins_as_read(data):
            raise ImageError(f"{path}: damaged image (its header cannot be read); copy or download it again") from error
        raise ImageError(
            f"{path}: not an image format that can be read ({len(data)} bytes that begin with {data[:12]!r}); save it "
            "as PNG, JPEG or TIFF, or remove the file"
        ) from error
    except _DECODE_ERRORS as error:
        raise ImageError(f"{path}: damaged image ({_said(error)}); copy or download it again") from error
    except MemoryError as error:
        raise ImageError(
            f"{path}: there is not enough memory to decode it; make it smaller or close programs"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings of the decoders about broken tags from the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _said(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _stored(path: Path, data: bytes) -> _Stored:
    if is_tiff(data):
        return _from_tiff(path, data)
    if png.is_png(data):
        return _from_png(path, data)
    if is_heif(data):
        open_heif()
    return _from_pillow(path, data)


def _decoders() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in DECODERS if name in Image.OPEN)


def open_heif() -> None:
    """Make Pillow read HEIC, where pillow-heif is there."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:  # Pillow then says that it does not know the file, and `advice` what to do
        return
    register_heif_opener()


def _from_tiff(path: Path, data: bytes) -> _Stored:
    picture = read_tiff(path, data)
    tags = picture.directory
    exif, notes = exif_of_tiff(data)
    extra = {}
    if tags.get(282) and tags.get(283) and tags.get(296, 2) in (2, 3):
        per_inch = 2.54 if tags.get(296, 2) == 3 else 1
        extra["dpi"] = tuple(float(tags[tag]) * per_inch for tag in (282, 283))
    xmp, profile = (value if isinstance(value, bytes) else None for value in (tags.get(700), tags.get(34675)))
    return _Stored(picture.colours, picture.alpha, picture.pages, exif, xmp, profile, extra, notes, tiff=True)


def _from_png(path: Path, data: bytes) -> _Stored:
    parts = png.split(data)
    with Image.open(io.BytesIO(parts.lean), formats=("PNG",)) as image:
        check_size(path, *image.size)
        image.load()  # reports truncation, which OpenCV would fill with grey
        if parts.bits == 16:
            grey, colours = image.mode in _GREY_MODES, png.decode_deep(parts.lean)
            alpha = colours[..., 3] if colours.ndim == 3 and colours.shape[2] == 4 else None
            if alpha is None:
                alpha = _deep_key(image, colours)
            colours = colours if colours.ndim == 2 else colours[..., 0] if grey else colours[..., :3]
        else:
            colours, alpha = _eight_bits(image)
    chunks = dict(parts.others)
    exif, notes = read_exif(chunks.get(b"eXIf") or png.raw_exif_of(parts.others))
    kept = [
        chunk
        for chunk in parts.others
        if chunk[0] in (*png.COLOUR_KINDS, *png.TEXT_KINDS)
        and chunk[0] != b"iCCP"
        and not png.is_xmp(chunk)
        and chunk[1].partition(b"\0")[0] not in png.RAW_EXIF
    ]
    density = png.density_of(parts.others)
    extra = {**({"chunks": tuple(kept)} if kept else {}), **({"dpi": density} if density else {})}
    profile = png.profile_of(parts.others)
    if profile is None and b"iCCP" in chunks:
        notes.append("its colour profile cannot be read and is left out")
    xmp = png.xmp_of(parts.others)
    return _Stored(colours, alpha, parts.pictures, exif, xmp, profile, extra, notes)


def _deep_key(image: Image.Image, colours: np.ndarray) -> np.ndarray | None:
    """Return the transparency of a 16-bit file in which one colour is transparent."""
    key = image.info.get("transparency")
    if key is None:
        return None
    seen = colours if colours.ndim == 3 else colours[..., None]
    return np.where((seen == np.uint16(key)).all(axis=2), 0, 65535).astype(np.uint16)


def _from_pillow(path: Path, data: bytes) -> _Stored:
    speaks = data[4:8] == b"ftyp"  # libraries for AVIF and HEIC print what they think of a damaged file
    with quiet_stderr() if speaks else nullcontext(), Image.open(io.BytesIO(data), formats=_decoders()) as image:
        check_size(path, *image.size)
        image.load()
        colours, alpha = _deep_grey(path, image) if image.mode.startswith(("I", "F")) else _eight_bits(image)
        info = image.info
        exif, notes = read_exif(info.get("exif"))
        xmp = info.get("xmp") or info.get("XML:com.adobe.xmp")
        extra = {key: info[key] for key in ("dpi", "comment") if info.get(key)}
        held = getattr(image, "n_frames", 1)
        pictures = held if image.format in _SEVERAL else 1
        bits = stored_bits(data, info) if colours.dtype == np.uint8 else 8
        notes += [f"its {bits} bits become 8; save it as PNG or TIFF with 16 bits to keep them"] if bits > 8 else []
        notes += [f"the first of its {held} pictures is taken"] if held > 1 and image.format == "HEIF" else []
        xmp = xmp.encode() if isinstance(xmp, str) else xmp
        return _Stored(colours, alpha, pictures, exif, xmp, info.get("icc_profile"), extra, notes)


def _deep_grey(path: Path, image: Image.Image) -> tuple[np.ndarray, None]:
    if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
        raise ImageError(f"{path}: pixel mode {image.mode} has no fixed range; save it with 8 or 16 bits per channel")
    return np.asarray(image).astype(np.uint16), None  # Pillow has scaled a PPM file's numbers to 16 bits


def _eight_bits(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the colours, grey as (H, W), and the transparency of a picture with 8 bits."""
    if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        # Pillow takes every CMYK JPEG for Adobe's inverted kind; without Adobe's marker, 255 is full ink.
        image = ImageChops.invert(image)
    grey = image.mode in _GREY_MODES
    transparent = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    if transparent:
        image = image.convert("LA" if image.mode == "LA" else "RGBA")
    alpha = from_pillow(image.getchannel("A")) if transparent else None
    mode = "L" if grey else "RGB"
    return from_pillow(image if image.mode == mode else image.convert(mode)), alpha


def _upright(stored: _Stored) -> Decoded:
    orientation = orientation_of(stored.exif, None if stored.tiff else stored.xmp)  # a TIFF file without it is upright
    colours = turn_upright(stored.colours, orientation)
    alpha = None if stored.alpha is None else turn_upright(stored.alpha, orientation)
    exif, notes = upright_exif(stored.exif, colours.shape[1::-1], stored.tiff)
    profile = fitting_profile(stored.profile, colours.ndim == 2)
    if stored.profile and not profile:
        space = stored.profile[16:20].decode("ascii", "replace").strip() or "damaged"
        notes.append(f"its colour profile ({space}) is not for {'grey' if colours.ndim == 2 else 'RGB'}: left out")
    found = {
        "icc_profile": profile,
        "exif": exif,
        "xmp": upright_xmp(stored.xmp),
        **stored.extra,
    }
    metadata = {key: value for key, value in found.items() if value}
    return Decoded(colours, alpha, stored.pictures, metadata, list(dict.fromkeys([*stored.notes, *notes])))
