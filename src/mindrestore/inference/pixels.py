"""Pixels on their way to a network and back: checks, grey and alpha, padding, types."""

from __future__ import annotations

import os
from typing import Any, Callable

import numpy as np

from mindrestore.errors import MindRestoreError
from mindrestore.images.pixels import to_float

# From an image (H, W, 3), uint8, uint16 or float32 in [0,1], to the restored one of the same size and type. What works
# on pieces of a large image makes them floating point one by one.
Restore = Callable[[np.ndarray], np.ndarray]

__all__ = ["Restore", "RestoreError", "as_given", "as_photo", "pad_to", "to_float", "to_type"]

_PILLOW_MODES = ("L", "RGB", "RGBA", "I;16")
_SLACK, _MOST_BEYOND = 0.5, 0.01  # noise of sigma 50/255 takes 0.5 % of black pixels below -0.5
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601, for photographs that came in grey


class RestoreError(MindRestoreError):
    """Report an image that cannot be restored or a result that cannot be kept."""

    several_lines = False


def as_given(restore: Restore) -> Restore:
    """Let a function for RGB images take images of any kind: grey stays grey, alpha is kept.

    Args:
        restore: Maps (H, W, 3) to the same type and size.

    Returns:
        A function of (H, W), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16, or floating point in [0,1]. It returns
        an array of the same shape and type, and raises RestoreError for an array that is not an image, or that has
        NaN or infinite values.
    """

    def restored(photo: np.ndarray) -> np.ndarray:
        photo = as_photo(photo)
        if photo.ndim == 2:  # rounded once, as the luma of the result
            grey = restore(np.repeat(to_float(photo)[..., None], 3, axis=2)) @ _LUMA
            return to_type(grey, photo.dtype)
        if photo.shape[2] == 3:
            return restore(photo)
        return np.concatenate((restore(np.ascontiguousarray(photo[..., :3])), photo[..., 3:]), axis=2)

    return restored


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


def as_photo(photo: Any) -> np.ndarray:
    """Take what a caller gives as pixels.

    Args:
        photo: As for `as_given`; of Pillow's images those of grey, RGB and RGBA.

    Returns:
        The array, without a copy where it is one.

    Raises:
        RestoreError: It is not an image, its values are not in [0, 1], or some are NaN or infinite.
    """
    if isinstance(photo, (str, os.PathLike)):
        raise RestoreError(f"{os.fspath(photo)}: a path, not pixels; read it first, or use `mindrestore.restore`")
    mode = getattr(photo, "mode", None)  # of Pillow; as arrays, others than these are not colours
    if mode is not None and mode not in _PILLOW_MODES:
        known = ", ".join(_PILLOW_MODES)
        raise RestoreError(f"a Pillow image of mode {mode} is not one of {known}; use image.convert('RGB')")
    photo = np.asarray(photo)
    if photo.size == 0 or not (photo.ndim == 2 or (photo.ndim == 3 and photo.shape[2] in (3, 4))):
        raise RestoreError(f"an array of shape {photo.shape} is not an image; use (H, W), (H, W, 3) or (H, W, 4)")
    floating = np.issubdtype(photo.dtype, np.floating)
    if not floating and photo.dtype not in (np.uint8, np.uint16):
        raise RestoreError(f"pixels of type {photo.dtype} are not supported; use uint8, uint16 or float in [0,1]")
    if floating:
        _check_range(photo)
    return photo


def _check_range(photo: np.ndarray) -> None:
    """Refuse values that were not brought to [0, 1]; noise and sharpening may lead beyond it a little, or here and
    there.
    """
    if not np.isfinite(photo).all():
        raise RestoreError("the image holds NaN or infinite values; replace them first")
    beyond = np.count_nonzero(photo < -_SLACK) + np.count_nonzero(photo > 1 + _SLACK)
    if beyond > _MOST_BEYOND * photo.size:
        raise RestoreError(
            f"floating-point pixels from {photo.min():.4g} to {photo.max():.4g}: bring them to [0,1], or use uint8"
        )


def to_type(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Bring floating-point pixels in [0,1] to a type; whole numbers are rounded and fill their range."""
    if np.issubdtype(dtype, np.floating):
        return image.astype(dtype)
    return np.rint(np.clip(image, 0, 1) * np.iinfo(dtype).max).astype(dtype)
