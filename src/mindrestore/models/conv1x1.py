"""1x1 convolutions and offsets per channel, with gradients that are fast on CPU.

Operators as objects, not functions, where a backward pass uses them, as in `conv3x3`.
"""

from __future__ import annotations

import math

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import HeUniform, Uniform, initializer

from mindrestore.models.layers import like, on_cpu


class Conv1x1(nn.Cell):
    """Mix the channels of every pixel. Initialised as PyTorch does (uniform in +-1/sqrt(fan_in)).

    Equals `layers.conv(in_channels, out_channels, 1)`; `product` is the same without the bias and with any kernel.

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
        shape = (out_channels, in_channels, 1, 1)
        self.weight = Parameter(initializer(HeUniform(negative_slope=math.sqrt(5)), shape), name="weight")
        self.bias = None
        if bias:
            self.bias = Parameter(initializer(Uniform(1 / math.sqrt(in_channels)), (out_channels,)), name="bias")
        self.add = ops.BiasAdd()
        self.product = product_1x1(in_channels, out_channels)
        self.of_constants = ops.MatMul()  # the gradient of the function turns both matrices round

    def construct(self, x: Tensor) -> Tensor:
        y = self.product(x, like(self.weight, x))
        return y if self.bias is None else self.add(y, like(self.bias, x))

    def on_constants(self, values: Tensor) -> Tensor:
        """Return what the layer makes of constant maps: (N, in_channels) -> (N, out_channels), in float32."""
        o, c = self.weight.shape[:2]
        weight = self.weight.reshape(o, c).T.astype(ms.float32)  # mixed precision may have cast it
        return self.add(self.of_constants(values.astype(ms.float32), weight), self.bias.astype(ms.float32))


def product_1x1(in_channels: int, out_channels: int) -> nn.Cell | ops.Conv2D:
    """Make the convolution of a map (N, in_channels, H, W) with a kernel (out_channels, in_channels, 1, 1)."""
    return _QuickGradient(in_channels, out_channels) if on_cpu() else _direct(out_channels)


class _QuickGradient(nn.Cell):
    """Convolve with a kernel (O, C, 1, 1); the gradients are a convolution and a matrix product.

    The operators for the gradients take up to twice the time.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.forward = _direct(out_channels)
        self.backward = _direct(in_channels)
        self.products = ChannelProducts(out_channels, in_channels)

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.forward(x, weight)

    def bprop(self, x: Tensor, weight: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = like(x, dout), like(weight, dout)  # in mixed precision they may come as they were before a cast
        n, c, h, w = x.shape
        o = dout.shape[1]
        products = self.products(dout.reshape(n, o, h * w), x.reshape(n, c, h * w))
        return self.backward(dout, ops.transpose(weight, (1, 0, 2, 3))), products.reshape(o, c, 1, 1)


class ChannelProducts(nn.Cell):
    """Sum the products of every channel of one map with every channel of another, over images and pixels.

    The map with more channels goes first: on CPU the other order takes up to twice the time.

    Args:
        rows: channels of the first map.
        columns: channels of the second.

    Inputs:
        a: (N, rows, L).
        b: (N, columns, L).

    Returns:
        (rows, columns).
    """

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.swapped = columns > rows
        self.product = ops.BatchMatMul(transpose_b=True)

    def construct(self, a: Tensor, b: Tensor) -> Tensor:
        return self.product(b, a).sum(0).T if self.swapped else self.product(a, b).sum(0)


class ChannelAdd(nn.Cell):
    """Add a number of its own to every channel of every image.

    Inputs:
        x: (N, C, H, W).
        offset: (N, C), any floating type.

    Returns:
        (N, C, H, W) x + offset.
    """

    def __init__(self) -> None:
        super().__init__()
        self.add = _Add()

    def construct(self, x: Tensor, offset: Tensor) -> Tensor:
        return self.add(x, like(offset, x))


class _Add(nn.Cell):
    """Add, with a gradient of the offset that is summed over the flat image."""

    def __init__(self) -> None:
        super().__init__()
        self.add = ops.BiasAdd()  # twice as fast as a sum that broadcasts

    def construct(self, x: Tensor, offset: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return self.add(x.reshape(1, n * c, h, w), offset.reshape(n * c)).reshape(n, c, h, w)

    def bprop(self, x: Tensor, offset: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
        return dout, channel_sum(dout).astype(dout.dtype)


def channel_sum(x: Tensor) -> Tensor:
    """Sum every channel over the image, in float32.

    Args:
        x: (N, C, H, W).

    Returns:
        (N, C) float32.
    """
    n, c, h, w = x.shape
    return x.reshape(n * c, h * w).astype(ms.float32).sum(1).reshape(n, c)


def _direct(out_channels: int) -> ops.Conv2D:
    return ops.Conv2D(out_channels, 1, mode=1, pad_mode="valid", pad=0, stride=1, dilation=1, group=1)
