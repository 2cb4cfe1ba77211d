"""Read TIFF files of 1 to 16 bits per sample, in any layout and colour space that pictures have.

The tags are read and judged here; `tiff_samples.py` undoes how samples are stored, `tiff_colours.py` makes RGB of them.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from mindrestore.images.errors import ImageError
from mindrestore.images.limits import check_size
from mindrestore.images.metadata import BROKEN, EXIF
from mindrestore.images.quiet import quiet_stderr
from mindrestore.images.tiff_colours import COLOURS, Samples, to_colours
from mindrestore.images.tiff_samples import Directory, Layout, Tag, first_value, read_plane

# Compressions that libtiff undoes without knowing what the bytes mean: none, LZW, Deflate, PackBits, LZMA, Zstandard
_LOSSLESS = (1, 5, 8, 32946, 32773, 34925, 50000)
# These decode to finished pixels, so Pillow reads the whole file: fax (1 bit) and JPEG (8 bits)
_WHOLE = {2: 1, 3: 1, 4: 1, 7: 8}
_LOGARITHMIC = (32844, 32845)
_RAW_PHOTOMETRIC = (32803, 34892)  # colour filter array, linear raw
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_MOST_PAGES = 1000
_BIG_BACKWARDS = b"MM\0+"  # BigTIFF with the highest byte first


@dataclass(frozen=True)
class TiffPicture:
    """A decoded picture, as stored: not turned.

    Attributes:
        colours: (H, W) grey or (H, W, 3) RGB, uint8 or uint16.
        alpha: (H, W) of the same type, or None.
        directory: All tags.
        pages: Number of full pictures in the file.
    """

    colours: np.ndarray
    alpha: np.ndarray | None
    directory: Directory
    pages: int


def is_tiff(data: bytes) -> bool:
    """Return whether a file begins as TIFF or BigTIFF does."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", _BIG_BACKWARDS)


def read_tiff(path: Path, data: bytes) -> TiffPicture:
    """Decode the first picture of a TIFF file.

    Args:
        path: Name for messages.
        data: Whole file.

    Returns:
        The picture; 8 bits for up to 8 per sample, else 16.

    Raises:
        ImageError: If the file holds a raw photograph, floating point, or a layout that is not read.
    """
    directories = _directories(data)
    directory = directories[0]
    _refuse_raw(path, directories, data)
    layout = _layout(path, directory)
    check_size(path, layout.width, layout.height)
    if layout.compression in _WHOLE:
        samples = _by_pillow(path, data, layout)
    else:
        planes = [
            read_plane(data, directory, layout, number) for number in range(layout.samples if layout.planar else 1)
        ]
        samples = Samples(np.concatenate(planes, axis=2) if len(planes) > 1 else planes[0], layout.bits)
    pages = [one for one in directories if not _subfile(one) & (_REDUCED | _MASK)]
    return TiffPicture(*to_colours(path, samples, layout.photometric, directory), directory, max(len(pages), 1))


def _directories(data: bytes) -> list[Directory]:
    """Read the tags of all pages, and the number of each one's file position guards against circles."""
    stream = io.BytesIO(data)
    found, seen = [], set()
    directory = _empty(data)
    place = directory.next
    while place and place not in seen and len(found) < _MOST_PAGES:
        seen.add(place)
        stream.seek(place)
        directory = _empty(data)
        directory.load(stream)
        found.append(directory)
        place = directory.next
    if not found or Tag.WIDTH not in found[0] or Tag.HEIGHT not in found[0]:
        raise ValueError("its first directory describes no picture")
    return found


def _subfile(directory: Directory) -> int:
    kind = int(first_value(directory, Tag.NEW_SUBFILE, 0))
    return kind | (_REDUCED if first_value(directory, Tag.SUBFILE, 1) == 2 else 0)


def _refuse_raw(path: Path, directories: list[Directory], data: bytes) -> None:
    first = directories[0]
    raw = Tag.DNG_VERSION in first or data[8:10] == b"CR"
    raw = raw or any(first_value(one, Tag.PHOTOMETRIC, 1) in _RAW_PHOTOMETRIC for one in directories)
    if raw or (_subfile(first) & _REDUCED and Tag.SUB_DIRECTORIES in first):
        raise ImageError(raw_message(path))
    if _subfile(first) & _REDUCED:
        raise ImageError(
            f"{path}: its first picture is a reduced copy (NewSubfileType 1) of one that is stored behind it; save the "
            "full picture alone as TIFF or PNG"
        )


def raw_message(path: Path) -> str:
    """Return what to do about a raw photograph."""
    return (
        f"{path}: a raw photograph, which is not read (only its small preview could be); develop it to a 16-bit "
        "TIFF or a JPEG first, for example with darktable or RawTherapee"
    )


def _layout(path: Path, directory: Directory) -> Layout:
    bits = directory.get(Tag.BITS, (1,))
    bits = bits if isinstance(bits, tuple) else (bits,)
    samples = int(first_value(directory, Tag.SAMPLES, len(bits)))
    tile = None
    if Tag.TILE_OFFSETS in directory:
        tile = int(first_value(directory, Tag.TILE_WIDTH, 0)), int(first_value(directory, Tag.TILE_HEIGHT, 0))
    layout = Layout(
        int(directory[Tag.WIDTH]),
        int(directory[Tag.HEIGHT]),
        int(bits[0]),
        samples,
        int(first_value(directory, Tag.PHOTOMETRIC, 1)),
        int(first_value(directory, Tag.COMPRESSION, 1)),
        int(first_value(directory, Tag.PLANAR, 1)) == 2 and samples > 1,
        int(first_value(directory, Tag.PREDICTOR, 1)),
        tile,
    )
    _refuse_samples(path, layout, bits, directory.get(Tag.SAMPLE_FORMAT, (1,)))
    if layout.photometric not in COLOURS:
        raise ImageError(
            f"{path}: colour space {layout.photometric} (PhotometricInterpretation) is not read; save it as RGB"
        )
    if not (layout.width > 0 and layout.height > 0 and COLOURS[layout.photometric] <= samples <= 64):
        raise ValueError(f"{layout.width}x{layout.height} pixels of {samples} samples do not make a picture")
    if tile is not None and not (tile[0] > 0 and tile[1] > 0 and tile[0] * tile[1] <= 1 << 28):
        raise ValueError(f"its tiles have {tile[0]}x{tile[1]} pixels")
    return layout


def _refuse_samples(path: Path, layout: Layout, bits: tuple[int, ...], formats: Any) -> None:
    """Refuse samples that have no agreed white or that no compression here can hold."""
    kind = formats[0] if isinstance(formats, tuple) else formats
    if kind == 3 or layout.photometric in _LOGARITHMIC:
        shown = 32 if layout.photometric in _LOGARITHMIC else layout.bits
        raise ImageError(
            f"{path}: pixels of type float{shown} (HDR) have no fixed white; save it with 8 or 16 bits per channel"
        )
    if kind not in (1, 4) or len(set(bits)) > 1 or not 1 <= layout.bits <= 16:
        shown = "signed or complex samples" if kind not in (1, 4) else f"{'/'.join(map(str, bits))} bits per sample"
        raise ImageError(f"{path}: {shown} are not read; save it with 8 or 16 bits per channel")
    compression = layout.compression
    if compression not in _LOSSLESS and _WHOLE.get(compression) != layout.bits:
        raise ImageError(
            f"{path}: compression {compression} with {layout.bits} bits per sample is not read; save it with LZW, "
            "Deflate or no compression"
        )


def _by_pillow(path: Path, data: bytes, layout: Layout) -> Samples:
    """Let Pillow decode compressions whose result is pixels; it has undone YCbCr then."""
    try:
        opened = Image.open(io.BytesIO(data), formats=("TIFF",))
    except UnidentifiedImageError as error:
        kind = "BigTIFF with the highest byte first" if data[:4] == _BIG_BACKWARDS else f"{layout.samples} samples"
        raise ImageError(
            f"{path}: compression {layout.compression} with {kind} is not read; save it with LZW, Deflate or no "
            "compression"
        ) from error
    with quiet_stderr(), opened as image:
        if image.mode == "1":
            # Pillow has made 0 black, whatever the tag says; COLOURS asks for what is stored
            grey = np.asarray(image).astype(np.uint8)
            return Samples((1 - grey if layout.photometric == 0 else grey)[..., None], 1)
        if image.mode == "YCbCr":
            image = image.convert("RGB")
        pixels = np.asarray(image)
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        if layout.photometric == 0:
            pixels = 255 - pixels
        return Samples(pixels, 8, finished=layout.photometric == 6)


def exif_of_tiff(data: bytes) -> tuple[Image.Exif, list[str]]:
    """Read the tags of the first picture as EXIF entries; and notes about what is left out."""
    exif = Image.Exif()
    exif.endian, exif.bigtiff = "<" if data[:2] == b"II" else ">", b"+" in data[2:4]
    try:
        exif.load_from_fp(io.BytesIO(data), _empty(data).next)
        exif.get_ifd(EXIF)
    except BROKEN:
        return Image.Exif(), ["its EXIF data cannot be read and are left out"]
    return exif, []


def _empty(data: bytes) -> Directory:
    """Return a directory in the byte order and form of a file, which knows where the first one is."""
    if data[:4] != _BIG_BACKWARDS:
        return Directory(data[: 16 if b"+" in data[2:4] else 8])
    directory = Directory(b"MM\0*" + data[8:12])  # the one form that Pillow writes itself but does not recognise
    directory._bigtiff, directory.next = True, struct.unpack(">Q", data[8:16])[0]
    return directory
