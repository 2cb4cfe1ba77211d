"""Means and factors per cell of a grid that spans the whole feature map."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, mint, nn, ops

from mindrestore.models.layers.form import Layer, chosen, like


class GridMean(Layer):
    """Average each cell of a grid over the whole map, in float32.

    Args:
        rows, columns: cells of the grid.

    Inputs:
        x: (N, C, H, W); H and W multiples of `rows` and `columns`.

    Returns:
        (N, C, rows, columns).
    """

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.grid = rows, columns
        self.quick = _QuickMean(self.grid)

    def construct(self, x: Tensor) -> Tensor:
        form = chosen(self.form)
        if form == "ascend":  # sums in float32 without a copy of the map
            n, c, h, w = x.shape
            p, q = self.grid
            return mint.mean(x.reshape(n, c, p, h // p, q, w // q), (3, 5), dtype=ms.float32).astype(x.dtype)
        return self.quick(x) if form == "cpu" else _cell_means(x, self.grid)


class GridGate(Layer):
    """Multiply each cell of a grid over the whole map by its own gate per channel.

    On CPU the gates become a whole map first: a product that broadcasts over 6 axes takes more time and memory there.

    Inputs:
        x: (N, C, H, W).
        gate: (N, C, rows, columns); H and W multiples of `rows` and `columns`.

    Returns:
        (N, C, H, W).
    """

    def __init__(self) -> None:
        super().__init__()
        self.quick = _QuickGate()

    def construct(self, x: Tensor, gate: Tensor) -> Tensor:
        if chosen(self.form) == "cpu":
            return self.quick(x, gate)
        n, c, h, w = x.shape
        p, q = gate.shape[2:]
        if p * q == 1:
            return x * gate
        return (x.reshape(n, c, p, h // p, q, w // q) * gate.reshape(n, c, p, 1, q, 1)).reshape(n, c, h, w)


class _QuickMean(nn.Cell):
    """The means, whose gradient is a map of repeated values."""

    def __init__(self, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        self.spread = _Spread()

    def construct(self, x: Tensor) -> Tensor:
        return _cell_means(x, self.grid)

    def bprop(self, x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
        h, w = x.shape[2:]
        p, q = self.grid
        return (self.spread(dout * (p * q / (h * w)), h, w),)


class _QuickGate(nn.Cell):
    """The product with a map of repeated gates, and gradients of few whole-map operations."""

    def __init__(self) -> None:
        super().__init__()
        self.spread = _Spread()

    def construct(self, x: Tensor, gate: Tensor) -> Tensor:
        h, w = x.shape[2:]
        return x * self.spread(gate, h, w)

    def bprop(self, x: Tensor, gate: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
        h, w = x.shape[2:]
        p, q = gate.shape[2:]
        x, gate = like(x, dout), like(ops.depend(gate, dout), dout)  # depend: else the forward pass's map is kept
        return dout * self.spread(gate, h, w), _cell_means(dout * x, (p, q)) * (h * w / (p * q))


class _Spread(nn.Cell):
    """Repeat the value of each grid cell over its pixels: (N, C, rows, columns) -> (N, C, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.tile = ops.Tile()  # the function `ops.tile` cannot be compiled inside a backward pass

    def construct(self, values: Tensor, h: int, w: int) -> Tensor:
        n, c, p, q = values.shape
        lines = self.tile(values.reshape(n * c * p * q, 1), (1, w // q)).reshape(n * c * p, 1, w)
        return self.tile(lines, (1, h // p, 1)).reshape(n, c, h, w)


def _cell_means(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Average each cell, in float32, and in two steps: one mean over both axes is many times slower on CPU."""
    n, c, h, w = x.shape
    p, q = grid
    lines = x.reshape(n * c * h * q, w // q).astype(ms.float32).mean(1)
    return lines.reshape(n * c * p, h // p, q).mean(1).reshape(n, c, p, q).astype(x.dtype)
