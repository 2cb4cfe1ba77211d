"""The 3x3 convolution that most layers of an image network are, with gradients that are fast on CPU.

Operators as objects, not functions, where a backward pass uses them: functions with branches, such as `ops.split` or
`ops.zeros_like`, cannot be compiled when forward and backward pass share them.
"""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindrestore.models.layers.conv1x1 import ChannelProducts
from mindrestore.models.layers.convolve import Conv2d, Convolve, classic_conv
from mindrestore.models.layers.form import Layer, chosen, like
from mindrestore.models.layers.initial import new_bias, new_kernel

_WIDE = 256  # channels
_ALIGNED = 16  # numbers in a vector register


class Conv3x3(Layer):
    """Convolve 3x3 with a border of zeros; the size stays. Initialised as PyTorch does (uniform in +-1/sqrt(fan_in)).

    Equals `Conv2d(in_channels, out_channels, 3, padding=1)`. On CPU the backward pass is spelled out, since the
    operators for it take twice the time of the forward pass each: the gradient of the input is a convolution with the
    mirrored kernel, that of the kernel one matrix product of shifted maps. Convolutions to few channels are computed
    as sums of shifted maps there, three to six times faster.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        bias: add a learnt constant per output channel.

    Inputs:
        x: (N, in_channels, H, W).

    Returns:
        (N, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = new_kernel(out_channels, in_channels, 3)
        self.bias = new_bias(out_channels, in_channels * 9) if bias else None
        self.add = ops.BiasAdd()
        self.quick = _QuickGradient(in_channels, out_channels)
        self.convolve = Convolve(out_channels, 3, padding=1)

    def construct(self, x: Tensor) -> Tensor:
        weight, bias = like(self.weight, x), None if self.bias is None else like(self.bias, x)
        if chosen(self.form) != "cpu":
            return self.convolve(x, weight, bias)
        y = self.quick(x, weight)
        return y if bias is None else self.add(y, bias)


def conv_3x3(in_channels: int, out_channels: int) -> nn.Cell:
    """Make the form of the same convolution that is trained faster on CPU.

    From 256 channels on, which networks have on small maps, turning the kernels round takes longer than it saves.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.

    Returns:
        The layer; parameters `weight` (out, in, 3, 3) and `bias` (out).
    """
    wide = min(in_channels, out_channels) >= _WIDE
    return Conv2d(in_channels, out_channels, 3, padding=1) if wide else Conv3x3(in_channels, out_channels)


class _QuickGradient(nn.Cell):
    """Convolve x (N, C, H, W) with a kernel (O, C, 3, 3), and give both gradients in a form that is fast on CPU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.forward = _quick(in_channels, out_channels)
        self.backward = _quick(out_channels, in_channels)
        self.products = ChannelProducts(3 * out_channels, 3 * in_channels)
        self.pick = ops.Gather()  # half the time of turning round by the operator for that
        self.mirrored = Tensor(list(range(8, -1, -1)), ms.int32)
        self.zeros = ops.Zeros()

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.forward(x, weight)

    def bprop(self, x: Tensor, weight: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = like(x, dout), like(weight, dout)  # in mixed precision they may come as they were before a cast
        o, c = weight.shape[:2]
        mirrored = self.pick(weight.reshape(o * c, 9), self.mirrored, 1).reshape(o, c, 3, 3)
        mirrored = ops.transpose(mirrored, (1, 0, 2, 3))
        return self.backward(dout, mirrored), self.kernel_gradient(x, dout)

    def kernel_gradient(self, x: Tensor, dout: Tensor) -> Tensor:
        """Sum dout[o, h, w] * x[c, h + ky - 1, w + kx - 1]: ky shifts x, kx shifts dout the other way.

        With a column of zeros behind every row, each shift is one of the flat map. Copies with zeros between them, cut
        into equal lengths, are shifted copies: nothing is sliced.
        """
        n, c, h, w = x.shape
        o = dout.shape[1]
        x = ops.depend(x, dout)  # else the shifted maps are made, and kept, as soon as x is there: in the forward pass
        row = w + 1
        spare = 2 * row + -(h + 2) * row % _ALIGNED  # beyond the map: room for shifts, up to a length of whole vectors
        x = ops.concat((x, self.zeros((n, c, h, 1), x.dtype)), 3).reshape(n, c, h * row)
        dout = ops.concat((dout, self.zeros((n, o, h, 1), dout.dtype)), 3).reshape(n, o, h * row)
        shifted_x = self._shifted(x, (2 * row, row, 0), spare)  # ordered by (channel, ky)
        shifted_dout = self._shifted(dout, (row - 1, row, row + 1), spare)  # (channel, kx)
        products = self.products(shifted_dout, shifted_x).reshape(o, 3, c, 3)
        return ops.transpose(products, (0, 2, 3, 1))  # (O, C, ky, kx)

    def _shifted(self, flat: Tensor, shifts: tuple[int, int, int], spare: int) -> Tensor:
        """Return three copies of maps (N, C, L) that begin after `shifts` zeros, as (N, 3 * C, L + spare)."""
        n, c, length = flat.shape
        before = self.zeros((n, c, shifts[0]), flat.dtype)
        between = self.zeros((n, c, spare - shifts[0] + shifts[1]), flat.dtype)  # shifts are equally far apart
        after = self.zeros((n, c, spare - shifts[2]), flat.dtype)
        return ops.concat((before, flat, between, flat, between, flat, after), 2).reshape(n, 3 * c, length + spare)


class _ShiftedSum(nn.Cell):
    """Convolve to few channels: all nine products by one 1x1 convolution, then shift them into place and add up.

    The operator first copies the input nine times, which takes longer than so few products are worth.
    """

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.project = classic_conv(9 * out_channels, 1)
        self.in_three = ops.Split(1, 3)
        self.zeros = ops.ZerosLike()

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        o = self.out_channels
        taps = ops.transpose(weight, (3, 2, 0, 1)).reshape(9 * o, x.shape[1], 1, 1)  # ordered by (kx, ky, out)
        left, middle, right = self.in_three(self.project(x, taps))
        column = self.zeros(middle[:, :, :, :1])
        columns = middle + ops.concat((column, left[:, :, :, :-1]), 3) + ops.concat((right[:, :, :, 1:], column), 3)
        above, centre, below = self.in_three(columns)  # (N, O, H, W)
        row = self.zeros(centre[:, :, :1])
        return centre + ops.concat((row, above[:, :, :-1]), 2) + ops.concat((below[:, :, 1:], row), 2)


def _quick(in_channels: int, out_channels: int) -> nn.Cell | ops.Conv2D:
    return _ShiftedSum(out_channels) if 4 * out_channels <= in_channels else classic_conv(out_channels, 3, padding=1)
