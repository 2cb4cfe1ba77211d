"""The convolution to very few channels that networks end with."""

from __future__ import annotations

from mindspore import Tensor, ops

from mindrestore.models.layers.convolve import Convolve, classic_conv
from mindrestore.models.layers.form import Layer, chosen, like
from mindrestore.models.layers.initial import new_bias, new_kernel


class NarrowConv2d(Layer):
    """Convolve without padding to very few output channels, such as the last layer of a network.

    On CPU a 7x7 convolution to 3 channels is the slowest layer of a small network, since the lowered input is
    49 times as large as the input. There it is computed as one 1x1 convolution to 49 * 3 channels and shifted sums;
    with rows joined end to end, a shift by (ky, kx) is one offset into memory. Same numbers, several times faster.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the square kernel (pixels).

    Inputs:
        x: (N, in_channels, H, W).

    Returns:
        (N, out_channels, H - kernel + 1, W - kernel + 1).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.weight = new_kernel(out_channels, in_channels, kernel)
        self.bias = new_bias(out_channels, in_channels * kernel**2)
        self.kernel = kernel
        self.convolve = Convolve(out_channels, kernel)
        self.project = classic_conv(out_channels * kernel**2, 1)

    def construct(self, x: Tensor) -> Tensor:
        weight, bias = like(self.weight, x), like(self.bias, x)
        if chosen(self.form) == "cpu":
            return self.shifted_sum(x, weight) + bias.reshape(1, -1, 1, 1)
        return self.convolve(x, weight, bias)

    def shifted_sum(self, x: Tensor, weight: Tensor) -> Tensor:
        k, (o, c) = self.kernel, weight.shape[:2]
        n, _, h, w = x.shape
        taps = ops.transpose(weight, (3, 2, 0, 1)).reshape(k * k * o, c, 1, 1)  # ordered by (kx, ky, out)
        z = self.project(x, taps).reshape(n, k * k * o, h * w)
        length = h * w - k + 1
        parts = ops.split(z, k * o, 1)
        columns = parts[0][:, :, :length]
        for kx in range(1, k):
            columns = columns + parts[kx][:, :, kx : kx + length]  # (N, ky * out, length)
        length -= (k - 1) * w
        parts = ops.split(columns, o, 1)
        y = parts[0][:, :, :length]
        for ky in range(1, k):
            y = y + parts[ky][:, :, ky * w : ky * w + length]  # (N, out, length)
        rest = ops.zeros((n, o, k - 1), y.dtype)  # the last row ends k - 1 pixels early
        return ops.concat((y, rest), 2).reshape(n, o, h - k + 1, w)[:, :, :, : w - k + 1]
