"""Pixels as arrays: their range and their orientation."""

from __future__ import annotations

import numpy as np

from mindrestore.images.errors import ImageError


def to_float(image: np.ndarray) -> np.ndarray:
    """Bring integer pixels to [0, 1].

    Args:
        image: uint8, uint16 or floating-point array of any shape.

    Returns:
        float32 array of the same shape; floating-point input keeps its values.

    Raises:
        ImageError: If the array has another type.
    """
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    if image.dtype == np.uint16:
        return image.astype(np.float32) / np.float32(65535)
    if np.issubdtype(image.dtype, np.floating):
        return image.astype(np.float32)
    raise ImageError(f"pixels of type {image.dtype} are not supported; give uint8, uint16 or floating point")


def turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo the EXIF orientation: the numbers 1 to 8 are the flips and turns of the square.

    Args:
        pixels: (H, W, C).
        orientation: Value of the EXIF tag.

    Returns:
        The upright image; 5 to 8 exchange height and width.
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
