"""Undo how a TIFF file stores its samples: compression, strips, tiles, planes, bits, differences.

zlib decompresses, or libtiff (in Pillow): for it the file gets a second directory, which calls the same bytes a grey
8-bit image, so that nothing but the compression is undone. The rest is done here.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, TiffImagePlugin

from mindrestore.images.quiet import quiet_stderr
from mindrestore.images.tiff_colours import upsample_ycbcr

Directory = TiffImagePlugin.ImageFileDirectory_v2

_NONE, _DEFLATE = 1, (8, 32946)
_REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little"), axis=1)[:, 0]


class Tag(IntEnum):
    """Tags of a TIFF directory that say how a picture is stored."""

    NEW_SUBFILE = 254
    SUBFILE = 255
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    SAMPLES = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTES = 279
    PLANAR = 284
    PREDICTOR = 317
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_BYTES = 325
    SUB_DIRECTORIES = 330
    SAMPLE_FORMAT = 339
    SUBSAMPLING = 530
    DNG_VERSION = 50706


@dataclass(frozen=True)
class Layout:
    """How the samples of a picture are stored."""

    width: int
    height: int
    bits: int
    samples: int
    photometric: int
    compression: int
    planar: bool  # each sample has strips of its own
    predictor: int
    tile: tuple[int, int] | None  # width and height


def first_value(directory: Directory, tag: int, default: Any) -> Any:
    """Return the value of a tag, the first of several."""
    value = directory.get(tag, default)
    if isinstance(value, tuple):
        return value[0] if value else default
    return value


def read_plane(data: bytes, directory: Directory, layout: Layout, number: int) -> np.ndarray:
    """Decode one plane: all samples of a chunky file, or one of a planar one; (H, W, samples) integers."""
    samples = 1 if layout.planar else layout.samples
    subsampling = (1, 1)
    if layout.photometric == 6 and not layout.planar:
        given = directory.get(Tag.SUBSAMPLING, (2, 2))
        subsampling = int(given[0]), int(given[1])
    if subsampling != (1, 1):
        if layout.bits != 8 or samples != 3 or set(subsampling) - {1, 2, 4}:
            raise ValueError(f"subsampled YCbCr with {layout.bits} bits and {samples} samples cannot be decoded")
        across, down = subsampling
        group = across * down + 2  # bytes of a block: its luma, Cb, Cr
        wide = layout.tile[0] if layout.tile else layout.width
        rows = _bytes(data, directory, layout, number, (-(-wide // across) * group, down))
        blocks = rows.reshape(rows.shape[0], -1, group)
        return upsample_ycbcr(blocks, subsampling)[: layout.height, : layout.width]
    wide = layout.tile[0] if layout.tile else layout.width
    row_bytes = -(-wide * samples * layout.bits // 8)
    rows = _bytes(data, directory, layout, number, (row_bytes, 1))  # (H, bytes), tiles side by side
    chunks = rows.reshape(rows.shape[0], -1, row_bytes)  # (H, tiles, bytes of a tile's row)
    values = _unpack(
        chunks, layout.bits, wide * samples, ">" if directory.prefix in (b"MM\0*", b"MM\0+", b"MM") else "<"
    )
    values = values.reshape(*values.shape[:2], wide, samples)
    if layout.predictor == 2:
        values = np.cumsum(values, axis=2, dtype=values.dtype)  # differences of neighbours wrap round
        if layout.bits not in (8, 16):
            values &= (1 << layout.bits) - 1
    elif layout.predictor != 1:
        raise ValueError(f"predictor {layout.predictor} does not go with integers")
    return values.reshape(values.shape[0], -1, samples)[: layout.height, : layout.width]


def _unpack(chunks: np.ndarray, bits: int, count: int, order: str) -> np.ndarray:
    """Turn bytes (..., N) into integers (..., count): 16 bits in the file's order, others from the highest bit on."""
    if bits == 8:
        return chunks[..., :count]
    if bits == 16:
        return np.ascontiguousarray(chunks).view(f"{order}u2").astype(np.uint16)[..., :count]
    if bits == 12:  # two samples in three bytes
        padded = np.concatenate((chunks, np.zeros((*chunks.shape[:-1], -chunks.shape[-1] % 3), np.uint8)), axis=-1)
        parts = padded.reshape(*chunks.shape[:-1], -1, 3).astype(np.uint16)
        pairs = np.stack((parts[..., 0] << 4 | parts[..., 1] >> 4, (parts[..., 1] & 15) << 8 | parts[..., 2]), axis=-1)
        return pairs.reshape(*chunks.shape[:-1], -1)[..., :count]
    values = np.zeros((*chunks.shape[:-1], count), np.uint16 if bits > 8 else np.uint8)
    single = np.unpackbits(chunks, axis=-1)[..., : count * bits].reshape(*values.shape, bits)
    for place in range(bits):
        values = values << 1 | single[..., place]
    return values


class _Grid(NamedTuple):
    """Strips or tiles of a plane: bytes of its row and rows, those of a part, and where each part is in the file."""

    width: int
    height: int
    wide: int
    high: int
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    reversed: bool


def _bytes(data: bytes, directory: Directory, layout: Layout, number: int, row: tuple[int, int]) -> np.ndarray:
    """Decompress a plane; row: bytes of a row (of a tile, when there are tiles), and image rows that it stands for.

    Returns:
        (rows, bytes) uint8; tiles lie side by side.
    """
    grid = _grid(directory, layout, number, row)
    if layout.compression in (_NONE, *_DEFLATE):
        return _gathered(data, grid, layout.compression != _NONE)
    with quiet_stderr(), Image.open(io.BytesIO(_with_directory(data, grid, layout))) as image:
        return np.asarray(image)


def _grid(directory: Directory, layout: Layout, number: int, row: tuple[int, int]) -> _Grid:
    row_bytes, per_row = row
    if layout.tile:
        across, down = (-(-side // of) for side, of in zip((layout.width, layout.height), layout.tile))
        high = -(-layout.tile[1] // per_row)
        width, height, parts, tags = across * row_bytes, down * high, across * down, (Tag.TILE_OFFSETS, Tag.TILE_BYTES)
    else:
        per_strip = min(int(first_value(directory, Tag.ROWS_PER_STRIP, layout.height)) or layout.height, layout.height)
        high, parts = -(-per_strip // per_row), -(-layout.height // per_strip)
        width, height, tags = row_bytes, -(-layout.height // per_row), (Tag.STRIP_OFFSETS, Tag.STRIP_BYTES)
    own = slice(number * parts, (number + 1) * parts)
    offsets, counts = (_all(directory, tag) for tag in tags)
    if len(offsets[own]) != parts or (len(counts[own]) != parts and layout.compression != _NONE):
        raise ValueError(f"it has {len(offsets)} strips or tiles, its size asks for more")
    backwards = first_value(directory, Tag.FILL_ORDER, 1) == 2
    return _Grid(width, height, row_bytes, high, offsets[own], counts[own], backwards)


def _all(directory: Directory, tag: int) -> tuple[int, ...]:
    value = directory.get(tag, ())
    return value if isinstance(value, tuple) else (value,)


def _gathered(data: bytes, grid: _Grid, deflated: bool) -> np.ndarray:
    """Put parts together that are not compressed, or by zlib."""
    rows, view = np.empty((grid.height, grid.width), np.uint8), memoryview(data)
    across = grid.width // grid.wide
    for place, offset in enumerate(grid.offsets):
        top, left = place // across * grid.high, place % across * grid.wide
        lines = min(grid.high, grid.height - top)
        size = lines * grid.wide
        part = view[offset : offset + (grid.counts[place] if deflated else size)]
        if grid.reversed:
            part = _REVERSED[np.frombuffer(part, np.uint8)].tobytes()
        if deflated:
            part = zlib.decompressobj().decompress(part, size)
        if len(part) < size:
            raise ValueError(f"strip or tile {place + 1} of {len(grid.offsets)} ends early")
        rows[top : top + lines, left : left + grid.wide] = np.frombuffer(part, np.uint8, size).reshape(lines, -1)
    return rows


def _with_directory(data: bytes, grid: _Grid, layout: Layout) -> bytes:
    """Put a directory behind the data, and make it the first: it calls the parts grey pixels of 8 bits."""
    described: dict[int, tuple[int, ...]] = {
        Tag.WIDTH: (grid.width,),
        Tag.HEIGHT: (grid.height,),
        Tag.BITS: (8,),
        Tag.COMPRESSION: (layout.compression,),
        Tag.PHOTOMETRIC: (1,),
        Tag.FILL_ORDER: (2 if grid.reversed else 1,),
        Tag.SAMPLES: (1,),
    }
    if layout.tile:
        described.update({Tag.TILE_WIDTH: (grid.wide,), Tag.TILE_HEIGHT: (grid.high,)})
        described.update({Tag.TILE_OFFSETS: grid.offsets, Tag.TILE_BYTES: grid.counts})
    else:
        described.update({Tag.ROWS_PER_STRIP: (grid.high,)})
        described.update({Tag.STRIP_OFFSETS: grid.offsets, Tag.STRIP_BYTES: grid.counts})
    place = len(data) + len(data) % 2
    if place + 1024 + 8 * len(grid.offsets) >= 1 << 32:
        raise ValueError("it is larger than 4 GB")
    entries, extra = b"", b""
    behind = place + 2 + 12 * len(described) + 4
    for tag in sorted(described):
        content = struct.pack(f"<{len(described[tag])}I", *described[tag])
        if len(content) > 4:
            content, extra = struct.pack("<I", behind + len(extra)), extra + content
        entries += struct.pack("<HHI", tag, 4, len(described[tag])) + content
    directory = struct.pack("<H", len(described)) + entries + struct.pack("<I", 0) + extra
    return b"II*\0" + struct.pack("<I", place) + data[8:] + b"\0" * (len(data) % 2) + directory
