"""Restore a large image in overlapping tiles and blend them without seams."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Callable

import numpy as np

from mindrestore.errors import MindRestoreError
from mindrestore.inference.pixels import to_type
from mindrestore.inference.progress import ImageProgress
from mindrestore.models.spec import fitting_side

# Neighbours share a quarter of a small tile, and no more than this of a large one: it is computed twice
_MOST_OVERLAP = 64

TilesFunction = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]


class TileError(MindRestoreError):
    """Report a tile size that cannot be used."""


@dataclass(frozen=True)
class Tiling:
    """Lay out tiles: how large they are, how much neighbours share, and on which grid they start.

    In the strip that two neighbours share, each is left out on the third next to its own edge, where it has not seen
    what lies beyond, and both are mixed over the third between. A network that looks no further than `overlap // 3`
    pixels therefore gives the same result as on the whole image.

    Args:
        size: Side of a square tile in pixels, a multiple of `multiple`.
        overlap: Least number of pixels that neighbours share.
        multiple: Size multiple of the network: tiles start on this grid, so that strides fall as in the whole image.
        least: Side to which tiles may shrink, rows and columns each for themselves, where no more of them are needed:
            neighbours then share little more than `overlap`, also at the end of a row. None: all tiles are square.
    """

    size: int
    overlap: int
    multiple: int = 1
    least: int | None = None

    @classmethod
    def of(cls, size: int, multiple: int = 1, min_size: int = 1) -> Tiling:
        """Make a tiling whose neighbours share a quarter of a tile, down to the grid, 64 pixels at most.

        Args:
            size: Side wanted, in pixels; rounded up to the multiple.
            multiple: Size multiple of the network.
            min_size: Smallest side the network takes.

        Returns:
            The tiling.

        Raises:
            TileError: The tile is too small for an overlap on the network's grid.
        """
        least = _least(multiple, min_size)
        if size < least:
            raise TileError(f"tiles of {size} pixels are too small for this network; use at least {least}, such as 512")
        size = fitting_side(size, multiple)
        overlap = min(max(3, size // 4), _MOST_OVERLAP)
        if overlap > multiple:  # else steps, which stay on the grid, would share more than is asked for
            overlap -= overlap % multiple
        return cls(size, overlap, multiple)

    @classmethod
    def within(cls, pixels: float, multiple: int = 1, min_size: int = 1) -> Tiling:
        """Make the tiling of the largest tiles that keep to a number of pixels; they may shrink.

        Args:
            pixels: Most pixels of a tile.
            multiple: Size multiple of the network.
            min_size: Smallest side the network takes.

        Returns:
            The tiling; of the smallest tiles that the network takes, when `pixels` are fewer.
        """
        side = max(math.isqrt(int(pixels)), _least(multiple, min_size) + multiple - 1)
        return replace(cls.of(side // multiple * multiple, multiple, min_size), least=_least(multiple, min_size))

    def side(self, length: int) -> int:
        """Return the size of the tiles along a side of the image.

        Args:
            length: Side of the image in pixels, a multiple of `multiple`.

        Returns:
            Pixels, a multiple of `multiple`, `size` at most.
        """
        if length <= self.size or self.least is None:
            return min(length, self.size)
        count = math.ceil((length - self.overlap) / self._step(self.size))
        share = math.ceil((length - self.overlap) / count) + self.overlap
        return fitting_side(max(share, self.least), self.multiple)

    def starts(self, length: int) -> list[int]:
        """Return the first pixel of every tile along a side.

        Args:
            length: Side of the image, a multiple of `multiple`.

        Returns:
            Ascending positions; every tile lies inside the image and has its full size unless the image is smaller.
        """
        side = self.side(length)
        return [*range(0, length - side, self._step(side)), length - side]

    def weights(self, length: int) -> list[np.ndarray]:
        """Return the weight of every pixel of every tile along a side; those of one image line sum to 1.

        Args:
            length: Side of the image, a multiple of `multiple`.

        Returns:
            For every tile of `starts` an array of its pixels' weights.
        """
        starts, side = self.starts(length), self.side(length)
        weights = [_feather(side, self.overlap, start > 0, start + side < length) for start in starts]
        total = np.zeros(length)
        for start, weight in zip(starts, weights):
            total[start : start + side] += weight
        return [weight / total[start : start + side] for start, weight in zip(starts, weights)]

    def _step(self, side: int) -> int:
        return max((side - self.overlap) // self.multiple, 1) * self.multiple


def run_tiled(
    run: TilesFunction, image: np.ndarray, tiling: Tiling, *, batch: int = 1, progress: ImageProgress | None = None
) -> np.ndarray:
    """Apply a function to every tile of an image and blend the results.

    Beside image and result, memory holds one row of tiles.

    Args:
        run: Maps tiles (h, w, C) of one shape, in the type of the image, to floating-point arrays of that shape.
        image: (H, W, C), uint8, uint16 or floating point; both sides multiples of `tiling.multiple`.
        tiling: Layout of the tiles.
        batch: Most tiles that `run` gets at once.
        progress: Told after every batch of tiles.

    Returns:
        (H, W, C) of the type of the image.
    """
    height, width, channels = image.shape
    tops, lefts = tiling.starts(height), tiling.starts(width)
    high, wide = tiling.side(height), tiling.side(width)
    down, across = tiling.weights(height), tiling.weights(width)
    result = np.empty(image.shape, image.dtype)
    # Double precision: the weighted mean of equal values is then that value again after rounding to float32.
    band = np.zeros((high, width, channels), np.float64)
    for row, top in enumerate(tops):
        if row:  # nothing more comes for the rows above
            ready = top - tops[row - 1]
            result[tops[row - 1] : top] = to_type(band[:ready], image.dtype)
            band[:-ready] = band[ready:].copy()
            band[-ready:] = 0
        for first in range(0, len(lefts), batch):
            tiles = [image[top : top + high, left : left + wide] for left in lefts[first : first + batch]]
            for column, restored in enumerate(run(tiles), first):
                weight = (down[row][:, None] * across[column])[..., None]  # (h, w, 1)
                band[:, lefts[column] : lefts[column] + wide] += weight * restored
            if progress:
                progress.tell(row * len(lefts) + first + len(tiles), len(tops) * len(lefts))
    result[tops[-1] :] = to_type(band, image.dtype)
    return result


def _least(multiple: int, min_size: int) -> int:
    return max(4 * multiple, min_size, 12)


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
