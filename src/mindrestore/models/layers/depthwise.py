"""The 5x5 convolution of every channel by itself, in a form that is fast on CPU."""

from __future__ import annotations

from functools import cache

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from mindrestore.models.layers.convolve import Convolve
from mindrestore.models.layers.form import Layer, chosen, like
from mindrestore.models.layers.initial import new_bias, new_kernel
from mindrestore.models.layers.mirror import ReflectPad

_ROWS, _COLUMNS = 8, 4  # of the output that one product makes


class Depthwise5x5(Layer):
    """Convolve every channel with its own 5x5 kernel; the border mirrors the map, and the size stays.

    On CPU the operator for one channel per group multiplies matrices of one row: slow, and its gradients up to a
    hundred times slower. There it makes blocks of 8x4 pixels at once, as 32 output channels with kernels of 12x8
    that hold the 5x5 kernel shifted to each pixel: same numbers, several times faster.

    `weight` and `bias` are initialised as PyTorch does (uniform in +-1/5).

    Args:
        channels: channels of input and output.

    Inputs:
        x: (N, channels, H, W); H and W at least 3.
        offset: (N or 1, channels) constants on top of x, float32.

    Returns:
        (N, channels, H, W), and (N or 1, channels) constants on top of it, which the bias is part of.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = new_kernel(channels, 1, 5)
        self.bias = new_bias(channels, 5 * 5)
        self.pad = ReflectPad(2)
        self.shift = _shifted_kernels()
        self.part = ops.StridedSlice(0b0011, 0b0011)
        self.convolve = Convolve(channels, 5, group=channels)
        self.convolve_blocks = ops.Conv2D(
            _ROWS * _COLUMNS * channels,
            (_ROWS + 4, _COLUMNS + 4),
            mode=1,
            pad_mode="pad",
            pad=(0, _ROWS - 1, 0, _COLUMNS - 1),  # for sides that are not multiples; what is made of it is cut off
            stride=(_ROWS, _COLUMNS),
            dilation=1,
            group=channels,
        )

    def construct(self, x: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        weight, padded = like(self.weight, x), self.pad(x)
        quick = chosen(self.form) == "cpu"
        y = self.by_blocks(padded, weight, x.shape) if quick else self.convolve(padded, weight)
        return y, offset * self.weight.reshape(-1, 25).sum(1) + self.bias  # mirrored borders keep constants

    def by_blocks(self, padded: Tensor, weight: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
        n, c, h, w = shape
        shifted = ops.matmul(weight.reshape(c, 25), like(self.shift, weight))
        shifted = shifted.reshape(c * _ROWS * _COLUMNS, 1, _ROWS + 4, _COLUMNS + 4)
        down, across = (h + _ROWS - 1) // _ROWS, (w + _COLUMNS - 1) // _COLUMNS  # blocks
        y = self.convolve_blocks(padded, shifted).reshape(n * c, _ROWS, _COLUMNS, down, across)
        y = ops.transpose(y, (0, 3, 1, 4, 2)).reshape(n, c, down * _ROWS, across * _COLUMNS)
        if down * _ROWS + across * _COLUMNS == h + w:  # a slice of all would be the slowest operator of the network
            return y
        return self.part(y, (0, 0, 0, 0), (0, 0, h, w), (1, 1, 1, 1))


@cache
def _shifted_kernels() -> Tensor:
    """Return, once for all layers, the zeros and ones (25, 32 * 12 * 8) that turn a 5x5 kernel into 32 of 12x8."""
    matrix = np.zeros((5, 5, _ROWS, _COLUMNS, _ROWS + 4, _COLUMNS + 4))
    for y, x, row, column in np.ndindex(5, 5, _ROWS, _COLUMNS):
        matrix[y, x, row, column, row + y, column + x] = 1
    return Tensor(matrix.reshape(25, -1), ms.float32)
