"""Write RGB arrays to image files of any common kind, and never half a file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mindrestore.files import PathLike, write_bytes
from mindrestore.images.errors import ImageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm")

_JPEG_QUALITY = 95


def write_image(path: PathLike, array: np.ndarray) -> None:
    """Write an image in one step: the file is complete or absent, and an old one survives a failure.

    Args:
        path: Destination; its suffix chooses the format. Missing folders are made.
        array: (H, W, 3) RGB or (H, W) grey; uint8, uint16, or floating point in [0, 1], which is clipped and
            rounded to 8 bits. JPEG, BMP and WebP keep 8 bits of 16.

    Raises:
        ImageError: If the values, the format, the folder or the disk do not allow it.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ImageError(f"{path}: cannot write {path.suffix or 'a file without suffix'}; use one of {SUFFIXES}")
    pixels = _to_pixels(path, array)
    if pixels.dtype == np.uint16 and path.suffix.lower() not in (".png", ".tif", ".tiff"):
        pixels = np.round(pixels / 257.0).astype(np.uint8)
    if pixels.ndim == 3:
        pixels = np.ascontiguousarray(pixels[..., ::-1])  # OpenCV writes BGR
    done, data = cv2.imencode(path.suffix.lower(), pixels, _encoder_options(path))
    if not done:
        raise ImageError(f"{path}: the encoder refused an array of shape {array.shape}; check its size")
    write_bytes(path, data.tobytes())


def _to_pixels(path: Path, array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise ImageError(f"{path}: shape {array.shape} is not an image; expected (H, W, 3) or (H, W)")
    if array.dtype in (np.uint8, np.uint16):
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise ImageError(f"{path}: pixels of type {array.dtype}; use uint8, uint16 or floating point in [0, 1]")
    if not np.isfinite(array).all():
        raise ImageError(f"{path}: the image holds NaN or infinite values; nothing was written")
    return np.round(np.clip(array, 0.0, 1.0) * 255.0).astype(np.uint8)


def _encoder_options(path: Path) -> list[int]:
    if path.suffix.lower() in (".jpg", ".jpeg"):
        return [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    return []
