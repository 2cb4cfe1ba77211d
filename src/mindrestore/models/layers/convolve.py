"""Convolution: by the operator that every file format and device has, on Ascend by that which runs through aclnn."""

from __future__ import annotations

from mindspore import Tensor, ops
from mindspore.ops import auto_generate

from mindrestore.models.layers.form import Layer, chosen, like
from mindrestore.models.layers.initial import new_bias, new_kernel


class Conv2d(Layer):
    """Convolve with zero padding. Initialised as PyTorch does (uniform in +-1/sqrt(fan_in)).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the square kernel (pixels).
        stride: step between output positions (pixels).
        padding: rows and columns of zeros on each side (pixels).
        bias: add a learnt constant per output channel.

    Inputs:
        x: (N, in_channels, H, W).

    Returns:
        (N, out_channels, Ho, Wo); parameters `weight` (out, in, kernel, kernel) and `bias` (out).
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = new_kernel(out_channels, in_channels, kernel)
        self.bias = new_bias(out_channels, in_channels * kernel**2) if bias else None
        self.convolve = Convolve(out_channels, kernel, stride, padding)

    def construct(self, x: Tensor) -> Tensor:
        return self.convolve(x, like(self.weight, x), None if self.bias is None else like(self.bias, x))


class Convolve(Layer):
    """Convolve with a given kernel and bias; the border is of zeros.

    Args:
        out_channels: channels of the output.
        kernel: side of the square kernel (pixels).
        stride: step between output positions (pixels).
        padding: rows and columns of zeros on each side (pixels).
        group: groups of channels that are convolved by themselves.

    Inputs:
        x: (N, C, H, W).
        weight: (out_channels, C / group, kernel, kernel), of the same type.
        bias: (out_channels,) of the same type, or None.

    Returns:
        (N, out_channels, Ho, Wo).
    """

    def __init__(self, out_channels: int, kernel: int, stride: int = 1, padding: int = 0, group: int = 1) -> None:
        super().__init__()
        self.convolve = classic_conv(out_channels, kernel, stride, padding, group)
        self.add = ops.BiasAdd()
        self.through_aclnn = auto_generate.Conv2DExt()
        self.window = (stride, stride), (padding, padding), (1, 1), group

    def construct(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if chosen(self.form) == "ascend":
            return self.through_aclnn(x, weight, bias, *self.window)
        y = self.convolve(x, weight)
        return y if bias is None else self.add(y, bias)


def classic_conv(out_channels: int, kernel: int, stride: int = 1, padding: int = 0, group: int = 1) -> ops.Conv2D:
    """Make MindSpore's convolution operator with every argument spelled out; arguments as for `Convolve`."""
    return ops.Conv2D(out_channels, kernel, mode=1, pad_mode="pad", pad=padding, stride=stride, dilation=1, group=group)
