"""From the samples of a TIFF file to grey or RGB: white first, palettes, ink, YCbCr and CIE L*a*b*."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import TiffImagePlugin

from mindrestore.images.errors import ImageError

_COLOUR_MAP, _INK_SET, _EXTRA, _COEFFICIENTS, _REFERENCE = 320, 332, 338, 529, 532
_WHITE_FIRST, _BLACK_FIRST, _RGB, _PALETTE, _INK, _YCBCR, _LAB, _ICC_LAB = 0, 1, 2, 3, 5, 6, 8, 9
# PhotometricInterpretation -> samples that make a colour
COLOURS = {_WHITE_FIRST: 1, _BLACK_FIRST: 1, _RGB: 3, _PALETTE: 1, _INK: 4, _YCBCR: 3, _LAB: 1, _ICC_LAB: 1}
_PREMULTIPLIED, _STRAIGHT = 1, 2  # ExtraSamples
_ROWS_AT_ONCE = 256  # colour spaces are computed in floating point, a part of the picture at a time

_WHITE_D50 = np.array([0.9642, 1.0, 0.8249], np.float32)
# XYZ under D50 to linear sRGB (D65), adapted by Bradford's method
_XYZ_TO_SRGB = np.array(
    [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]],
    np.float32,
)


class Samples(NamedTuple):
    """Samples (H, W, N) as stored, of so many bits; finished: they are RGB already."""

    values: np.ndarray
    bits: int
    finished: bool = False


def to_colours(
    path: Path, samples: Samples, photometric: int, directory: TiffImagePlugin.ImageFileDirectory_v2
) -> tuple[np.ndarray, np.ndarray | None]:
    """Turn samples into grey or RGB.

    Args:
        path: Name for messages.
        samples: What is stored.
        photometric: Colour space, a key of `COLOURS`.
        directory: Tags of the picture.

    Returns:
        (H, W) or (H, W, 3), uint8 for up to 8 bits per sample and uint16 for more; and (H, W) transparency or None.
    """
    values, bits = samples.values, samples.bits
    count = 3 if photometric in (_LAB, _ICC_LAB) and values.shape[2] >= 3 else COLOURS[photometric]
    if photometric == _PALETTE:
        return _palette(values[..., 0], directory), None
    own, alpha = values[..., :count], _alpha(values, bits, count, directory)
    if photometric in (_WHITE_FIRST, _BLACK_FIRST, _RGB) or samples.finished:
        colours = _full_range(own, bits)
        if photometric == _WHITE_FIRST:
            colours = np.iinfo(colours.dtype).max - colours
    elif photometric == _INK:
        if directory.get(_INK_SET, 1) != 1:
            raise ImageError(f"{path}: inks other than cyan, magenta, yellow and black are not read; save it as RGB")
        colours = _in_parts(_full_range(own, bits), _ink)
    elif photometric == _YCBCR:
        if bits not in (8, 16):
            raise ImageError(f"{path}: YCbCr with {bits} bits per sample is not read; save it as RGB")
        colours = _in_parts(own, lambda part: _ycbcr(part, directory))
    else:
        if bits not in (8, 16):
            raise ImageError(f"{path}: L*a*b* with {bits} bits per sample is not read; save it as RGB")
        colours = _in_parts(own, lambda part: _lab(part, photometric == _ICC_LAB))
    if alpha is not None and _kind_of_extra(directory, values.shape[2] - count) == _PREMULTIPLIED:
        colours = _divided(colours, alpha)
    return (colours[..., 0] if colours.shape[2] == 1 else colours), alpha


def upsample_ycbcr(blocks: np.ndarray, subsampling: tuple[int, int]) -> np.ndarray:
    """Repeat the chroma of a block for every pixel of it.

    Args:
        blocks: (rows, columns, luma of a block + 2) uint8.
        subsampling: Pixels across and down of a block.

    Returns:
        (rows * down, columns * across, 3).
    """
    across, down = subsampling
    rows, columns = blocks.shape[:2]
    luma = blocks[..., : across * down].reshape(rows, columns, down, across).transpose(0, 2, 1, 3)
    luma = luma.reshape(rows * down, columns * across)
    chroma = [np.repeat(np.repeat(blocks[..., place], down, 0), across, 1) for place in (-2, -1)]
    return np.stack((luma, *chroma), axis=2)


def _kind_of_extra(directory: TiffImagePlugin.ImageFileDirectory_v2, extra: int) -> int | None:
    if not extra:
        return None
    kinds = directory.get(_EXTRA, (_STRAIGHT,))  # files without the tag mean transparency
    return kinds[0] if isinstance(kinds, tuple) and kinds else kinds


def _alpha(
    values: np.ndarray, bits: int, count: int, directory: TiffImagePlugin.ImageFileDirectory_v2
) -> np.ndarray | None:
    if _kind_of_extra(directory, values.shape[2] - count) not in (_PREMULTIPLIED, _STRAIGHT):
        return None
    return _full_range(values[..., count], bits)


def _full_range(values: np.ndarray, bits: int) -> np.ndarray:
    """Scale integers so that their greatest value is white."""
    if bits in (8, 16):
        return values
    white = 255 if bits < 8 else 65535
    most = (1 << bits) - 1
    scaled = (np.arange(most + 1, dtype=np.uint32) * white + most // 2) // most
    return scaled.astype(np.uint8 if bits < 8 else np.uint16)[values]


def _palette(index: np.ndarray, directory: TiffImagePlugin.ImageFileDirectory_v2) -> np.ndarray:
    colours = np.array(directory[_COLOUR_MAP], np.uint32).reshape(3, -1).T
    if index.size and index.max() >= len(colours):
        raise ValueError(f"its palette has {len(colours)} colours, a pixel asks for number {index.max()}")
    if colours.size and colours.max() > 255:  # some programs write 8 bits where 16 belong
        colours = colours >> 8
    return colours.astype(np.uint8)[index]


def _in_parts(values: np.ndarray, convert: object) -> np.ndarray:
    """Convert rows in parts; `convert` returns floating point in [0, 1]."""
    white = np.iinfo(values.dtype).max
    result = np.empty((*values.shape[:2], 3), values.dtype)
    for top in range(0, len(values), _ROWS_AT_ONCE):
        rgb = convert(values[top : top + _ROWS_AT_ONCE])
        result[top : top + _ROWS_AT_ONCE] = np.rint(np.clip(rgb, 0, 1) * white)
    return result


def _ink(values: np.ndarray) -> np.ndarray:
    paper = 1 - values.astype(np.float32) / np.iinfo(values.dtype).max
    return paper[..., :3] * paper[..., 3:]


def _ycbcr(values: np.ndarray, directory: TiffImagePlugin.ImageFileDirectory_v2) -> np.ndarray:
    white = np.iinfo(values.dtype).max
    middle = (white + 1) // 2
    red, green, blue = (float(value) for value in directory.get(_COEFFICIENTS, (0.299, 0.587, 0.114)))
    low = [float(value) for value in directory.get(_REFERENCE, (0, white, middle, white, middle, white))]
    stored = values.astype(np.float32)
    luma = (stored[..., 0] - low[0]) / (low[1] - low[0])
    cb, cr = ((stored[..., at] - low[2 * at]) / (low[2 * at + 1] - low[2 * at]) / 2 for at in (1, 2))
    r, b = luma + cr * (2 - 2 * red), luma + cb * (2 - 2 * blue)
    return np.stack((r, (luma - red * r - blue * b) / green, b), axis=2)


def _lab(values: np.ndarray, icc: bool) -> np.ndarray:
    """CIE L*a*b* under D50 to sRGB; a and b are signed, in ICC's form they begin at the middle."""
    deep = values.dtype == np.uint16
    light = values[..., 0].astype(np.float32) * (100 / np.iinfo(values.dtype).max)
    if values.shape[2] == 1:
        a = b = np.zeros_like(light)
    else:
        pair = values[..., 1:3]
        signed = pair.astype(np.int32) - (0x8000 if deep else 0x80) if icc else pair.view(np.int16 if deep else np.int8)
        a, b = np.moveaxis(signed.astype(np.float32) / (256 if deep else 1), 2, 0)
    y = (light + 16) / 116
    xyz = np.stack((y + a / 500, y, y - b / 200), axis=2)
    xyz = np.where(xyz > 6 / 29, xyz**3, (xyz - 4 / 29) * (3 * (6 / 29) ** 2)) * _WHITE_D50
    linear = np.clip(xyz @ _XYZ_TO_SRGB.T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _divided(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Undo the multiplication with the transparency."""
    white = np.iinfo(colours.dtype).max
    full = colours.astype(np.uint64) * white // np.maximum(alpha, 1)[..., None]
    return np.minimum(full, white).astype(colours.dtype)
