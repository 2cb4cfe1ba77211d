"""What belongs to a picture beside its pixels: EXIF, XMP and colour profile, upright and of a size that fits."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image, TiffImagePlugin

ORIENTATION, EXIF, GPS = 274, 34665, 34853
_EXIF_SIDES = (40962, 40963)  # width and height of the pixels
# What a TIFF file says about the picture; its other tags describe how the pixels are stored, which changes.
TIFF_TAGS = (270, 271, 272, 305, 306, 315, 33432, EXIF, GPS)
# What Pillow raises on broken entries; the picture matters
BROKEN = (
    OSError,
    SyntaxError,
    struct.error,
    TypeError,
    ValueError,
    LookupError,
    OverflowError,
    EOFError,
    AttributeError,
)
_UNREADABLE = "its EXIF data cannot be read and are left out"


def read_exif(data: bytes | None) -> tuple[Image.Exif, list[str]]:
    """Read EXIF data.

    Args:
        data: As a file holds them, with or without `Exif` before; None for none.

    Returns:
        The entries, none when they cannot be read; and notes about what was left out.
    """
    exif = Image.Exif()
    if not data:
        return exif, []
    try:
        exif.load(data if data.startswith(b"Exif\0\0") else b"Exif\0\0" + data)
        len(list(exif.items()))
    except BROKEN:
        return Image.Exif(), [_UNREADABLE]
    return exif, []


def orientation_of(exif: Image.Exif, xmp: bytes | None) -> int:
    """Return the orientation, 1 to 8: that of EXIF, else that of XMP, else upright."""
    try:
        found = exif.get(ORIENTATION)
    except BROKEN:
        found = None
    if found is None and xmp:
        said = re.search(rb'tiff:Orientation(?:="|>)([1-8])', xmp)
        found = int(said.group(1)) if said else None
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def upright_exif(exif: Image.Exif, sides: tuple[int, int], tiff: bool) -> tuple[bytes | None, list[str]]:
    """Write EXIF data for the upright picture.

    Args:
        exif: Entries; changed in place.
        sides: Width and height of the upright picture.
        tiff: Whether they are the tags of a TIFF file, most of which say how pixels are stored.

    Returns:
        The data, None for none; and notes about what was left out.
    """
    try:
        exif.pop(ORIENTATION, None)
        for tag in [tag for tag in exif if tiff and tag not in TIFF_TAGS]:
            del exif[tag]
        if EXIF in exif:
            details = exif.get_ifd(EXIF)
            details.update({tag: side for tag, side in zip(_EXIF_SIDES, sides) if tag in details})
        if GPS in exif:
            exif.get_ifd(GPS)  # its entries are written when they were read
        return (exif.tobytes() if len(exif) else None), []
    except BROKEN:
        return None, [_UNREADABLE]


def fitting_exif(data: bytes, most: int) -> tuple[bytes | None, str]:
    """Leave the largest entries out of EXIF data until the rest fits.

    Args:
        data: EXIF data that are too long.
        most: Bytes that there is room for.

    Returns:
        Shorter data, None when nothing is left; and one line that says what was left out.
    """
    kilobytes = f"its EXIF data have {len(data) / 1024:.0f} kB, and there is room for {most // 1024}"
    exif, notes = read_exif(data)
    left_out: list[str] = []
    try:
        details = exif.get_ifd(EXIF) if EXIF in exif else {}
        while not notes and len(data) > most:
            entries = [
                (_size(value), tags, tag) for tags in (exif, details) for tag, value in tags.items() if tag != EXIF
            ]
            if not entries:
                break
            _, tags, tag = max(entries, key=lambda entry: entry[0])
            del tags[tag]
            left_out.append(ExifTags.TAGS.get(tag, str(tag)))
            data = exif.tobytes()
    except BROKEN:
        return None, f"{kilobytes}: they are left out"
    if len(data) > most:
        return None, f"{kilobytes}: they are left out"
    return data, f"{kilobytes}: {', '.join(left_out)} left out"


def _size(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(_size(part) for part in value.values())
    return len(value) if isinstance(value, (bytes, str, tuple)) else 8


def upright_xmp(xmp: bytes | str | None) -> bytes | None:
    """Return an XMP packet that asks for no turn."""
    data = xmp.encode() if isinstance(xmp, str) else xmp
    return re.sub(rb'(tiff:Orientation(?:="|>))[2-8]', rb"\g<1>1", data) if data else None


def fitting_profile(profile: bytes | None, grey: bool) -> bytes | None:
    """Return a profile that describes the pixels as they are written: a CMYK file becomes RGB."""
    return profile if profile and profile[16:20] == (b"GRAY" if grey else b"RGB ") else None


def tiff_directory(metadata: Mapping[str, Any]) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Return the tags of a TIFF file that say something about the picture."""
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    exif, _ = read_exif(metadata.get("exif"))
    for tag in exif:
        if tag in TIFF_TAGS:
            directory[tag] = exif.get_ifd(tag) if tag in (EXIF, GPS) else exif[tag]
    if "xmp" in metadata:
        directory.tagtype[700] = 1
        directory[700] = metadata["xmp"]
    if "icc_profile" in metadata:
        directory[34675] = metadata["icc_profile"]
    if "dpi" in metadata:
        directory[282], directory[283] = (float(value) for value in metadata["dpi"])
        directory[296] = 2  # per inch
    return directory
