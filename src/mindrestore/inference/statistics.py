"""Give the tiles of an image the statistics of the whole image, where a network averages over all that it sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

if TYPE_CHECKING:
    from mindrestore.inference.tiles import Place


class HeldPool(nn.Cell):
    """Stand in for a pool: pass its means on and note them, or give means from elsewhere.

    Args:
        pool: Cell from (1, C, H, W) to means (1, C, rows, columns), or of stacked parts of an image (n, C, H/.., W/..);
            it may take more than the map, and give anything else per image, such as deviations, in that shape.
        name: Names the parameters.
    """

    holds = True

    def __init__(self, pool: nn.Cell, name: str) -> None:
        super().__init__(auto_prefix=False)
        self.pool = pool
        self.label = name
        self.noting = False
        self.live = Parameter(Tensor(1.0, ms.float32), name=f"{name}.live", requires_grad=False)
        self.held: Parameter | None = None
        self.whole: np.ndarray | None = None

    def construct(self, *inputs: Tensor) -> Tensor:
        means = self.pool(*inputs)
        if self.noting:
            self.note(means)
            return means
        return self.live * means + (1 - self.live) * self.held  # one compiled graph for both

    def note(self, means: Tensor) -> None:
        """Keep the means of the whole image."""
        self.whole = joined(means.asnumpy())
        if self.held is None:
            self.held = Parameter(means.copy(), name=f"{self.label}.held", requires_grad=False)

    def give(self, place: Place, side: tuple[int, int], image: tuple[int, int]) -> None:
        """Hold, for each part and cell of a tile, the mean of where its middle lies in the whole image."""
        parts, _, rows, columns = self.held.shape
        down, across = part_grid(parts)
        ys = _cells(self.whole.shape[1], rows * down, place[0], side[0], image[0])
        xs = _cells(self.whole.shape[2], columns * across, place[1], side[1], image[1])
        ops.assign(self.held, Tensor(parted(self.whole[:, ys][:, :, xs], parts)))  # set_data misses compiled graphs


class WholeStatistics:
    """What every pool of a network found in the whole image, and hand it to the tiles.

    In the manner of test-time local converters (Chu et al., "Improving Image Restoration by Revisiting Global
    Information Aggregation", ECCV 2022), but with statistics of the whole image, which is made small for them.

    Args:
        net: Network whose pools are cells called `pool` with `image_statistics = True`; they are replaced in place.
    """

    def __init__(self, net: nn.Cell) -> None:
        owners = [
            (name, cell)
            for name, cell in net.cells_and_names()
            if getattr(getattr(cell, "pool", None), "image_statistics", False)
        ]
        for name, cell in owners:
            cell.pool = HeldPool(cell.pool, f"{name}.pool")
        self.pools: list[HeldPool] = [cell.pool for _, cell in owners]

    @property
    def noted(self) -> bool:
        """Return whether any image was noted; a graph cannot be compiled before."""
        return all(pool.held is not None for pool in self.pools)

    def note(self, model: nn.Cell, image: Tensor) -> None:
        """Run a network, operator by operator, on a small form (1, 3, h, w) of the image and note its statistics."""
        for pool in self.pools:
            pool.noting = True
        try:
            model(image)
        finally:
            for pool in self.pools:
                pool.noting = False

    def release(self) -> None:
        """Let every pool average what it sees, as for an image that is no tile."""
        self._switch(1.0)

    def give(self, place: Place, side: tuple[int, int], image: tuple[int, int]) -> None:
        """Return the next tile the statistics of where it lies.

        Args:
            place: Its first row and column.
            side: Its height and width.
            image: Height and width of the image.
        """
        self._switch(0.0)
        for pool in self.pools:
            pool.give(place, side, image)

    def _switch(self, live: float) -> None:
        for pool in self.pools:
            ops.assign(pool.live, Tensor(live, ms.float32))


def part_grid(parts: int) -> tuple[int, int]:
    """Return rows and columns of the parts an image is cut into: whole, two halves (upper, lower), four quarters."""
    return min(parts, 2), max(parts // 2, 1)


def joined(means: np.ndarray) -> np.ndarray:
    """Lay means of stacked parts (n, C, rows, columns) out as one map (C, Rows, Columns); left parts come first."""
    parts, channels, rows, columns = means.shape
    down, across = part_grid(parts)
    grid = means.reshape(across, down, channels, rows, columns).transpose(2, 1, 3, 0, 4)
    return grid.reshape(channels, down * rows, across * columns)


def parted(grid: np.ndarray, parts: int) -> np.ndarray:
    """Undo `joined`: (C, Rows, Columns) to (n, C, rows, columns)."""
    channels, (down, across) = grid.shape[0], part_grid(parts)
    rows, columns = grid.shape[1] // down, grid.shape[2] // across
    cut = grid.reshape(channels, down, rows, across, columns).transpose(3, 1, 0, 2, 4)
    return np.ascontiguousarray(cut.reshape(parts, channels, rows, columns))


def _cells(cells: int, wanted: int, start: int, side: int, length: int) -> np.ndarray:
    """Find the cells, of those along a side of the image, in which the cells of a tile have their middle."""
    middles = start + (np.arange(wanted) + 0.5) * side / wanted
    return np.minimum(middles * cells / length, cells - 1).astype(int)
