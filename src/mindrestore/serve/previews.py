"""Small copies of an image and its result that any browser can show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from mindrestore.images.photos import Photo, write_photo

PREVIEW_SIDE = 2400  # pixels
THUMBNAIL_SIDE = 320


def write_preview(path: Path, photo: Photo, side: int = PREVIEW_SIDE) -> Path:
    """Write a photograph for the screen: 8 bits, no more than `side` pixels a side, in its own colours.

    Args:
        path: Destination without suffix.
        photo: The photograph, upright.
        side: Longest side (pixels).

    Returns:
        The file: PNG where there is transparency, else JPEG.
    """
    height, width = photo.pixels.shape[:2]
    scale = min(side / max(height, width), 1)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    profile = {key: value for key, value in photo.metadata.items() if key == "icc_profile"}
    small = replace(
        photo,
        pixels=_shrunk(photo.pixels, size),
        alpha=None if photo.alpha is None else _shrunk(photo.alpha, size),
        metadata=profile,
    )
    path = path.with_suffix(".jpg" if photo.alpha is None else ".png")
    write_photo(path, small)
    return path


def _shrunk(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if pixels.dtype == np.uint16:
        pixels = np.rint(pixels / np.float32(257)).astype(np.uint8)
    return pixels if size == pixels.shape[1::-1] else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
