"""Restore a large image, then small forms of the result, and carry what changes in them to full size.

A streak of rain that is thirty pixels wide in a photograph of 12 megapixels is four pixels wide in a small form of it,
as wide as those of the images that networks against rain are trained on. Thin streaks go at full size, before they are
averaged into a veil that no network takes for rain. What is left is seen in the smallest form first, then in a larger
one from which the widest streaks are gone: a pyramid as of Burt and Adelson ("The Laplacian pyramid as a compact image
code", IEEE Transactions on Communications 1983), from coarse to fine.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from mindrestore.inference.pixels import Restore
from mindrestore.inference.progress import ImageProgress
from mindrestore.inference.working_size import WORKING_PIXELS, Change, Shape, shrunken

_FINER = 2  # how much longer the sides of the next form are


def small_forms(height: int, width: int) -> list[Shape]:
    """Return heights and widths at which an image is seen besides its own, from small to large.

    Args:
        height: Of the image (pixels).
        width: Of the image (pixels).

    Returns:
        Sizes, each twice as high and wide as the one before; the smallest has a quarter of a megapixel, between half
        and double. None for an image of at most half a megapixel.

    Examples:
        >>> small_forms(1500, 2000)
        [(375, 500), (750, 1000)]
    """
    steps = max(round(math.log(height * width / WORKING_PIXELS, _FINER**2)), 0)
    shares = (_FINER**step for step in range(steps, 0, -1))
    return [(max(round(height / share), 1), max(round(width / share), 1)) for share in shares]


def coarse_to_fine(restore: Restore, progress: ImageProgress) -> Restore:
    """Let a function see each large image, then small forms of what it makes of it, and add what it changes in them.

    Args:
        restore: Maps (H, W, 3) to the same type and size.
        progress: Told how much of all forms is done, by their pixels.

    Returns:
        A function from (H, W, 3) to the same type and size.
    """

    def restored(image: np.ndarray) -> np.ndarray:
        sizes = small_forms(*image.shape[:2])
        pixels = [height * width for height, width in (image.shape[:2], *sizes)]
        shares = np.cumsum([0, *pixels]) / sum(pixels)
        with progress.part(0, shares[1]):
            image = restore(image)
        if not sizes:
            return image
        change = np.zeros((1, 1, 3), np.float32)
        for number, (height, width) in enumerate(sizes, 1):
            small = shrunken(image, height, width)  # (h, w, 3) float32
            seen = cv2.resize(change, (width, height), interpolation=cv2.INTER_LINEAR)
            seen += small
            with progress.part(shares[number], shares[number + 1] - shares[number]):
                change = restore(np.clip(seen, 0, 1, out=seen))
            change -= small
        return Change(np.ones((1, 1, 3), np.float32), change).applied_to(image)

    return restored
