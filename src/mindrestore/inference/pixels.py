"""Pixels on their way to a network and back: checks, grey and alpha, padding, types."""

from __future__ import annotations

from typing import Callable

import numpy as np

from mindrestore.errors import MindRestoreError

RgbFunction = Callable[[np.ndarray, np.dtype], np.ndarray]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601, for photographs that came in grey


class RestoreError(MindRestoreError):
    """Report an image that cannot be restored or a result that cannot be kept."""

    several_lines = False


def restore_as_given(rgb_function: RgbFunction, photo: np.ndarray) -> np.ndarray:
    """Restore an image of any type with a function for RGB images.

    Args:
        rgb_function: Maps (H, W, 3) and a type to the restored image in that type.
        photo: (H, W), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16, or floating point in [0,1].

    Returns:
        Array of the same shape and type; grey stays grey, alpha is kept.

    Raises:
        RestoreError: The array is not an image, or holds NaN or infinite values.
    """
    photo = np.asarray(photo)
    check_photo(photo)
    if photo.ndim == 2:
        restored = rgb_function(np.repeat(photo[..., None], 3, axis=2), np.dtype(np.float32))
        return to_type(restored @ _LUMA, photo.dtype)
    restored = rgb_function(photo[..., :3], photo.dtype)
    return np.concatenate((restored, photo[..., 3:]), axis=2) if photo.shape[2] == 4 else restored


def pad_to(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Extend an image at the bottom and right: by reflection as far as it reaches, then by the last line.

    Args:
        image: Array (H, W, C).
        height: Rows of the result, at least H.
        width: Columns of the result, at least W.

    Returns:
        Array (height, width, C); the image itself when nothing is lacking.
    """
    lacking = (height - image.shape[0], width - image.shape[1])
    if not any(lacking):
        return image
    mirrored = [min(lack, side - 1) for lack, side in zip(lacking, image.shape)]
    image = np.pad(image, [(0, mirrored[0]), (0, mirrored[1]), (0, 0)], mode="reflect")
    return np.pad(image, [(0, lacking[0] - mirrored[0]), (0, lacking[1] - mirrored[1]), (0, 0)], mode="edge")


def check_photo(photo: np.ndarray) -> None:
    """Refuse an array that is not an image.

    Raises:
        RestoreError: Its shape or type is not that of an image, or it holds NaN or infinite values.
    """
    if photo.size == 0 or not (photo.ndim == 2 or (photo.ndim == 3 and photo.shape[2] in (3, 4))):
        raise RestoreError(f"an array of shape {photo.shape} is not an image; give (H, W), (H, W, 3) or (H, W, 4)")
    floating = np.issubdtype(photo.dtype, np.floating)
    if not floating and photo.dtype not in (np.uint8, np.uint16):
        raise RestoreError(f"pixels of type {photo.dtype} are not supported; give uint8, uint16 or float in [0,1]")
    if floating and not np.isfinite(photo).all():
        raise RestoreError("the image holds NaN or infinite values; replace them first")


def to_type(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Bring floating-point pixels in [0,1] to a type; whole numbers are rounded and fill their range."""
    if np.issubdtype(dtype, np.floating):
        return image.astype(dtype)
    return np.rint(np.clip(image, 0, 1) * np.iinfo(dtype).max).astype(dtype)
