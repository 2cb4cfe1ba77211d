"""The 5x5 convolution of every channel by itself, in a form that is fast on CPU."""

from __future__ import annotations

import math

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import HeUniform, Uniform, initializer

from mindrestore.models.layers import ReflectPad, like, on_cpu

_ROWS = 8  # output rows that one product makes


class Depthwise5x5(nn.Cell):
    """Convolve every channel with its own 5x5 kernel; the border mirrors the map, and the size stays.

    On CPU the operator for one channel per group multiplies matrices of one row: slow, and its gradients up to a
    hundred times slower. There it makes eight rows of a map at once, as eight output channels with kernels of 12x5
    that hold the 5x5 kernel shifted down row by row: same numbers, two to four times faster.

    `weight` and `bias` are initialised as PyTorch does (uniform in +-1/5).

    Args:
        channels: channels of input and output.

    Inputs:
        x: (N, channels, H, W); H and W at least 3.
        offset: (N or 1, channels) constants on top of x, float32.

    Returns:
        (N, channels, H, W), and (N or 1, channels) constants on top of it, which the bias is part of.

    Example:
        >>> y, offset = Depthwise5x5(24)(x, ops.zeros((1, 24)))
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        weight = initializer(HeUniform(negative_slope=math.sqrt(5)), (channels, 1, 5, 5))
        self.weight = Parameter(weight, name="weight")
        self.bias = Parameter(initializer(Uniform(1 / 5), (channels,)), name="bias")
        self.pad = ReflectPad(2)
        self.direct = not on_cpu()
        self.shift = Tensor(_shifted_kernels(), ms.float32)
        self.rows = ops.StridedSlice(0b1011, 0b1011)
        self.convolve = ops.Conv2D(channels, 5, mode=1, pad_mode="valid", pad=0, stride=1, dilation=1, group=channels)
        self.convolve_rows = ops.Conv2D(
            _ROWS * channels,
            (_ROWS + 4, 5),
            mode=1,
            pad_mode="pad",
            pad=(0, _ROWS - 1, 0, 0),  # rows for heights that are no multiples; what is made of them is cut off
            stride=(_ROWS, 1),
            dilation=1,
            group=channels,
        )

    def construct(self, x: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        weight, padded = like(self.weight, x), self.pad(x)
        y = self.convolve(padded, weight) if self.direct else self.eight_rows(padded, weight, x.shape)
        return y, offset * self.weight.reshape(-1, 25).sum(1) + self.bias  # mirrored borders keep constants

    def eight_rows(self, padded: Tensor, weight: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
        n, c, h, w = shape
        shifted = ops.matmul(weight.reshape(c, 25), like(self.shift, weight)).reshape(c * _ROWS, 1, _ROWS + 4, 5)
        groups = (h + _ROWS - 1) // _ROWS
        y = self.convolve_rows(padded, shifted).reshape(n * c, _ROWS, groups, w)
        y = ops.transpose(y, (0, 2, 1, 3)).reshape(n, c, groups * _ROWS, w)
        if groups * _ROWS == h:  # a slice of all rows would be the slowest operator of the network
            return y
        return self.rows(y, (0, 0, 0, 0), (0, 0, h, 0), (1, 1, 1, 1))


def _shifted_kernels() -> np.ndarray:
    """Give the matrix (25, 8 * 12 * 5) of zeros and ones that turns a 5x5 kernel into the eight of 12x5."""
    matrix = np.zeros((5, 5, _ROWS, _ROWS + 4, 5))
    for y, x, row in np.ndindex(5, 5, _ROWS):
        matrix[y, x, row, row + y, x] = 1
    return matrix.reshape(25, -1)
