"""Pixels as arrays: out of Pillow's memory, their range and their orientation."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mindrestore.images.errors import ImageError

_ROWS_AT_ONCE = 256


def to_float(image: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Bring integer pixels to [0, 1].

    Args:
        image: uint8, uint16 or floating-point array of any shape.
        out: float32 array of the same shape to write to; a new one when `None`.

    Returns:
        float32 array of the same shape; floating-point input keeps its values.

    Raises:
        ImageError: If the array has another type.
    """
    if image.dtype not in (np.uint8, np.uint16) and not np.issubdtype(image.dtype, np.floating):
        raise ImageError(f"pixels of type {image.dtype} are not supported; use uint8, uint16 or floating point")
    if out is None:
        out = np.empty_like(image, np.float32)
    if image.dtype.kind == "f":
        np.copyto(out, image, casting="same_kind")
        return out
    largest = np.float32(np.iinfo(image.dtype).max)
    return np.divide(image, largest, out=out, dtype=np.float32, casting="unsafe")  # both types fit into float32


def from_pillow(image: Image.Image) -> np.ndarray:
    """Copy an 8-bit image out of Pillow, some rows at a time: at once Pillow needs the memory of two more copies.

    Args:
        image: Image of mode L, RGB, RGBA or CMYK.

    Returns:
        (H, W) or (H, W, C), uint8.
    """
    width, height = image.size
    channels = len(image.getbands())
    pixels = np.empty((height, width, channels) if channels > 1 else (height, width), np.uint8)
    for top in range(0, height, _ROWS_AT_ONCE):
        bottom = min(top + _ROWS_AT_ONCE, height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return pixels


def turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo the EXIF orientation: the numbers 1 to 8 are the flips and turns of the square.

    Args:
        pixels: (H, W) or (H, W, C).
        orientation: Value of the EXIF tag.

    Returns:
        The upright image; 5 to 8 exchange height and width.
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
