"""Which files are pictures or videos by their suffix, which of them are read here, and what to do with the others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from PIL import features

# Always read: in training, evaluation and restoring
_PLAIN = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".bmp", ".tif", ".tiff", ".webp"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
_JPEG_2000 = (".jp2", ".j2k", ".jpx")
_HEIF = (".heic", ".heif", ".hif")
RAW_SUFFIXES = (
    *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".orf", ".raf", ".rw2", ".pef", ".ptx"),
    *(".srw", ".x3f", ".3fr", ".fff", ".iiq", ".mef", ".mos", ".mrw", ".kdc", ".dcr", ".erf", ".rwl", ".gpr", ".raw"),
)
_OTHER_VIDEOS = (
    *(".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".mts", ".m2ts", ".ts", ".ogv", ".mxf", ".vob", ".f4v", ".asf", ".rm"),
)
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm")  # read and written
# What lies beside pictures and is none; every other file of a folder that is not read is counted and named
_COMPANIONS = (
    *(".txt", ".csv", ".tsv", ".md", ".rst", ".pdf", ".html", ".htm", ".json", ".jsonl", ".yaml", ".yml", ".xml"),
    *(".xmp", ".aae", ".pp3", ".ini", ".db", ".log", ".mat", ".npy", ".npz", ".py", ".sh", ".ipynb"),
)
# Decoders of Pillow for the kinds above; the others (EPS starts Ghostscript) are never asked
DECODERS = ("PNG", "JPEG", "MPO", "BMP", "DIB", "TIFF", "WEBP", "PPM", "GIF", "AVIF", "JPEG2000", "HEIF")


@lru_cache(maxsize=1)
def readable_suffixes() -> tuple[str, ...]:
    """Return the suffixes of pictures that can be read with what is installed, in lower case."""
    found = _PLAIN
    found += (".avif",) if "avif" in features.modules and features.check("avif") else ()
    found += _JPEG_2000 if features.check("jpg_2000") else ()
    return found + (_HEIF if find_spec("pillow_heif") else ())


def foreign(suffix: str) -> bool:
    """Return whether a file with this suffix, in any case, is neither read nor known to lie beside pictures."""
    return suffix.lower() not in (*readable_suffixes(), ".gif", *VIDEO_SUFFIXES, *_COMPANIONS)


def left_out(counts: Mapping[str, int]) -> str:
    """Return how many files of a folder are not read, by suffix, and what to do with them.

    Args:
        counts: Suffix, in lower case -> number of files, at least one.
    """
    total = sum(counts.values())
    named = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in sorted(counts.items()))
    fixes = ["save pictures as PNG, JPEG or TIFF"] if set(counts) - set(_OTHER_VIDEOS) else []
    if set(counts) & set(_OTHER_VIDEOS):
        fixes.append("convert videos to MP4")
    if set(counts) & set(_HEIF):
        fixes.append("for HEIC: pip install 'mindrestore[heif]'")
    if set(counts) & set(RAW_SUFFIXES):
        fixes.append("develop raw photographs first")
    return f"{total} file{'s' if total > 1 else ''} left out ({named}): these kinds are not read; {'; '.join(fixes)}"


_PPM = re.compile(rb"P[36](?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+(\d+)\s")
# First bytes -> what the file is, and what to do; asked only when no decoder knows it
_ADVICE = (
    (b"\xff\x0a", "JPEG XL is not read; save it as PNG or JPEG"),
    (b"\0\0\0\x0cJXL ", "JPEG XL is not read; save it as PNG or JPEG"),
    (b"8BPS", "a Photoshop document is not read; save it as TIFF or PNG"),
    (b"v/1\x01", "OpenEXR (HDR) has no fixed white; save it as TIFF or PNG with 8 or 16 bits per channel"),
    (b"#?RADIANCE", "Radiance HDR has no fixed white; save it as TIFF or PNG with 8 or 16 bits per channel"),
    (b"<svg", "SVG is a drawing, not a picture of pixels; export it as PNG"),
    (b"%!PS", "PostScript is a drawing, not a picture of pixels; export it as PNG"),
    (b"%PDF", "a PDF document is not a picture; export its page as PNG"),
)
# First bytes of what is read: a file that begins so, and that no decoder knows, is damaged
_READ = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF8", b"BM", b"\0\0\0\x0cjP  ")
_RAW_BEGINNINGS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def begins_raw(data: bytes) -> bool:
    """Return whether a file begins as the raw files of a camera do."""
    return data.startswith(_RAW_BEGINNINGS) or data[4:12] == b"ftypcrx "


def is_heif(data: bytes) -> bool:
    """Return whether a file is HEIC or another kind of HEIF but AVIF."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS and b"avif" not in data[8:40]


def stored_bits(data: bytes, info: Mapping[Any, Any]) -> int:
    """Return how many bits per sample a file of a kind has that is read with 8; 8 where that is not known.

    Args:
        data: Whole file: AVIF, HEIC, JPEG 2000 or PPM.
        info: What Pillow knows of it.
    """
    ppm = _PPM.match(data)
    if ppm:
        return max(int(ppm[1]).bit_length(), 8)
    place = data.find(b"av1C")
    if place >= 0 and data[4:8] == b"ftyp":  # third byte of the configuration: tier, high depth, twelve bits
        flags = data[place + 6] if place + 6 < len(data) else 0
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    place = data.find(b"\xff\x4f\xff\x51")
    if place >= 0 and data.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f")):  # the size of the first component
        return max((data[place + 42] & 0x7F) + 1, 8) if place + 42 < len(data) else 8
    return int(info.get("bit_depth", 8))


def begins_as_read(data: bytes) -> bool:
    """Return whether a file begins as a kind does that is read."""
    return data.startswith(_READ) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def advice(data: bytes) -> str | None:
    """Return what a file is that no decoder knows, and what to do with it; None for an unknown kind."""
    if is_heif(data) and find_spec("pillow_heif"):
        return "a damaged HEIC file; copy it again, or export it as JPEG"
    if is_heif(data):
        return (
            "HEIC is read with pillow-heif, which is not there; pip install 'mindrestore[heif]', or export it as JPEG"
        )
    if data[4:8] == b"ftyp" and b"avif" in data[8:40]:
        return "AVIF is not read by this Pillow; install one that was built with it, or export the picture as PNG"
    return next((text for beginning, text in _ADVICE if data.startswith(beginning)), None)
