"""Restore a large image from a small one: what a network changes is computed small and carried to full size.

Haze is smooth, and so is what its removal changes. On windows of the small image the change is a straight line per
colour channel, restored = a * hazy + b, fitted by least squares as in the guided filter (He et al., "Guided image
filtering", ECCV 2010; the way over a small image: He and Sun, "Fast guided filter", 2015). a and b are smoothed,
enlarged and applied to the pixels of the large image, which keeps its edges and its grain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable, NamedTuple

import cv2
import numpy as np

from mindrestore.inference.pixels import Restore, to_float, to_type

WORKING_PIXELS = 250_000  # of the image that the network sees; docs/working_size.md compares others
_AS_IT_IS = 256**2  # pixels; windows of the fit would be a large part of a smaller image
# What the name of a protocol gets, and its description: scores of networks that see images at their working size
MARK = ("working-size", f"images seen at {WORKING_PIXELS / 1e6:g} megapixels at most, and the change carried to them")
_RADIUS = 16  # of the windows, in pixels of the small image: as wide as attention windows at the coarsest scale
_FLAT = 1e-4  # variance below which a window counts as flat: there the slope is 1, and fine grain stays as it is
_STRIP = 16  # rows of the large image that are floating point at a time: few enough for the cache of a core

Shape = tuple[int, int]


class Change(NamedTuple):
    """A straight line per pixel and colour channel: restored = slope * hazy + offset.

    Attributes:
        slope: (h, w, 3) float32; (1, 1, 3) where it is the same everywhere.
        offset: Likewise.
    """

    slope: np.ndarray
    offset: np.ndarray

    def applied_to(self, image: np.ndarray) -> np.ndarray:
        """Change an image of any size, strip by strip.

        Args:
            image: (H, W, 3), uint8, uint16 or floating point in [0,1].

        Returns:
            (H, W, 3) of the same type, limited to [0,1] and its range.
        """
        height, width = image.shape[:2]
        # (h, W, 3): wide already, still few rows; OpenCV samples at the centres of pixels
        slope, offset = (cv2.resize(part, (width, part.shape[0]), interpolation=cv2.INTER_LINEAR) for part in self)
        restored = np.empty_like(image)
        for rows in _strips(height):
            line = _mixed(slope, *_between(rows, height, slope.shape[0]))  # (strip, W, 3)
            line *= to_float(image[rows])
            line += _mixed(offset, *_between(rows, height, offset.shape[0]))
            restored[rows] = to_type(np.clip(line, 0, 1, out=line), image.dtype)
        return restored


def at_working_size(
    restore: Restore, size_for: Callable[[int, int], Shape], *, radius: int = _RADIUS, flat: float = _FLAT
) -> Restore:
    """Let a function see a small form of each large image, and carry what it changes to full size.

    What it changes in an image that has the working size already is fitted, too: the fit smooths the grid that
    attention windows leave. Only small images come back as the function restores them.

    Args:
        restore: Maps (h, w, 3) float32 in [0,1] to the same.
        size_for: Returns, for height and width of an image, those that `restore` should see.
        radius: Of the windows in which the change is a straight line, in pixels of the small image.
        flat: Variance below which a window counts as flat.

    Returns:
        A function from (H, W, 3) to the same type and size.
    """

    def restored(image: np.ndarray) -> np.ndarray:
        size = image.shape[:2]
        seen = size_for(*size)
        if restored_whole(size, seen):
            return restore(image)
        small = shrunken(image, *seen)
        return fitted_change(small, restore(small), radius, flat).applied_to(image)

    return restored


def restored_whole(size: Shape, seen: Shape) -> bool:
    """Return whether an image comes back as the function restores it, without a fit.

    Args:
        size: Height and width of the image (pixels).
        seen: Those at which it is seen; where they differ, its change has to be enlarged.
    """
    return seen == size and size[0] * size[1] <= _AS_IT_IS


def fitted_change(before: np.ndarray, after: np.ndarray, radius: int = _RADIUS, flat: float = _FLAT) -> Change:
    """Fit a straight line from one image to another in every window, and average those of the windows of a pixel.

    Args:
        before: (h, w, 3) float32.
        after: (h, w, 3) float32.
        radius: Windows have 2 radius + 1 pixels a side.
        flat: Variance below which a window counts as flat.

    Returns:
        The change, (h, w, 3) each part.
    """

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (2 * radius + 1,) * 2, borderType=cv2.BORDER_REFLECT)

    mean_before, mean_after = mean(before), mean(after)
    # The guided filter draws the slopes of flat windows towards 0, which would wipe the grain out of skies
    slope = mean(before * after) - mean_before * mean_after + np.float32(flat)
    slope /= np.maximum(mean(before * before) - mean_before * mean_before, 0) + np.float32(flat)
    return Change(mean(slope), mean(mean_after - slope * mean_before))


def working_size(height: int, width: int, pixels: float) -> Shape:
    """Return height and width of an image made as small as a number of pixels; its own when it has no more."""
    scale = (pixels / (height * width)) ** 0.5
    return (height, width) if scale >= 1 else (max(round(height * scale), 1), max(round(width * scale), 1))


def shrunken(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Make an image smaller by averaging the pixels under each new one.

    Args:
        image: (H, W, 3), uint8, uint16 or floating point in [0,1].
        height: At most H.
        width: At most W.

    Returns:
        (height, width, 3) float32 in [0,1].
    """
    narrow = np.empty((image.shape[0], width, 3), np.float32)  # (H, width, 3): the large image is never floating point
    for rows in _strips(image.shape[0]):
        strip = to_float(image[rows])
        narrow[rows] = cv2.resize(strip, (width, strip.shape[0]), interpolation=cv2.INTER_AREA)
    return cv2.resize(narrow, (width, height), interpolation=cv2.INTER_AREA)


def _strips(height: int) -> Iterator[slice]:
    return (slice(top, min(top + _STRIP, height)) for top in range(0, height, _STRIP))


def _between(rows: slice, height: int, small: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for rows of the large image, the rows of the small one above and below, and the share of the latter."""
    place = np.clip((np.arange(rows.start, rows.stop) + 0.5) * small / height - 0.5, 0, small - 1)
    above = place.astype(int)
    return above, np.minimum(above + 1, small - 1), (place - above).astype(np.float32)[:, None, None]


def _mixed(lines: np.ndarray, above: np.ndarray, below: np.ndarray, share: np.ndarray) -> np.ndarray:
    mixed = lines[below]
    upper = lines[above]
    mixed -= upper
    mixed *= share
    mixed += upper
    return mixed
