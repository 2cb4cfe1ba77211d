"""Restore a large image in overlapping tiles and blend them without seams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np

from mindrestore.errors import MindRestoreError


class TileError(MindRestoreError):
    """Report a tile size that cannot be used."""


@dataclass(frozen=True)
class Tiling:
    """Lay out square tiles: how large they are, how much neighbours share, and on which grid they start.

    In the strip that two neighbours share, each is left out on the third next to its own edge, where it has not seen
    what lies beyond, and both are mixed over the third between. A network that looks no further than `overlap // 3`
    pixels therefore gives the same result as on the whole image.

    Args:
        size: Side of a tile in pixels, a multiple of `multiple`.
        overlap: Least number of pixels that neighbours share.
        multiple: Size multiple of the network: tiles start on this grid, so that strides fall as in the whole image.

    Example:
        >>> Tiling.of(256, multiple=4).overlap
        64
    """

    size: int
    overlap: int
    multiple: int = 1

    @classmethod
    def of(cls, size: int, multiple: int = 1, min_size: int = 1) -> Tiling:
        """Make a tiling whose neighbours share a quarter of a tile.

        Args:
            size: Side wanted, in pixels; rounded up to the multiple.
            multiple: Size multiple of the network.
            min_size: Smallest side the network takes.

        Returns:
            The tiling.

        Raises:
            TileError: The tile is too small for an overlap on the network's grid.
        """
        least = max(4 * multiple, min_size, 12)
        if size < least:
            raise TileError(f"tiles of {size} pixels are too small for this network; use at least {least}, such as 512")
        size = -(-size // multiple) * multiple
        return cls(size, max(3, size // 4), multiple)

    def starts(self, length: int) -> list[int]:
        """Give the first pixel of every tile along a side.

        Args:
            length: Side of the image, a multiple of `multiple`.

        Returns:
            Ascending positions; every tile lies inside the image and has its full size unless the image is smaller.

        Example:
            >>> Tiling(8, 3, 1).starts(20)
            [0, 5, 10, 12]
        """
        if length <= self.size:
            return [0]
        step = max((self.size - self.overlap) // self.multiple, 1) * self.multiple
        return [*range(0, length - self.size, step), length - self.size]


def run_tiled(run: Callable[[np.ndarray], np.ndarray], image: np.ndarray, tiling: Tiling) -> np.ndarray:
    """Apply a function to every tile of an image and blend the results.

    Args:
        run: Maps an array (h, w, C) to one of the same shape.
        image: Array (H, W, C); both sides multiples of `tiling.multiple`.
        tiling: Layout of the tiles.

    Returns:
        float32 array (H, W, C).

    Example:
        >>> run_tiled(lambda tile: tile * 2, np.ones((100, 100, 3)), Tiling.of(64)).max()
        2.0
    """
    height, width = image.shape[:2]
    # Double precision: the weighted mean of equal values is then that value again after rounding to float32.
    total = np.zeros(image.shape, np.float64)
    weights = np.zeros((height, width, 1), np.float64)
    for top in tiling.starts(height):
        for left in tiling.starts(width):
            bottom, right = min(top + tiling.size, height), min(left + tiling.size, width)
            down = _feather(bottom - top, tiling.overlap, top > 0, bottom < height)
            across = _feather(right - left, tiling.overlap, left > 0, right < width)
            weight = (down[:, None] * across[None, :])[..., None]  # (h, w, 1)
            total[top:bottom, left:right] += weight * run(image[top:bottom, left:right])
            weights[top:bottom, left:right] += weight
    return (total / weights).astype(np.float32)


def _feather(length: int, overlap: int, neighbour_before: bool, neighbour_after: bool) -> np.ndarray:
    """Weigh the pixels along one side of a tile: 0, a ramp, 1 towards each neighbour; 1 towards the image's border."""
    margin = overlap // 3
    ramp = overlap - 2 * margin
    rise = np.clip((np.arange(length) - margin + 0.5) / ramp, 0, 1)
    weight = np.ones(length)
    if neighbour_before:
        weight = np.minimum(weight, rise)
    if neighbour_after:
        weight = np.minimum(weight, rise[::-1])
    return weight
