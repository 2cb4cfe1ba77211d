"""The 1x1 convolution, with gradients that are fast on CPU.

Operators as objects, not functions, where a backward pass uses them, as in `conv3x3`.
"""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindrestore.models.layers.convolve import Convolve, classic_conv
from mindrestore.models.layers.form import Layer, chosen, like
from mindrestore.models.layers.initial import new_bias, new_kernel


class Conv1x1(Layer):
    """Mix the channels of every pixel. Initialised as PyTorch does (uniform in +-1/sqrt(fan_in)).

    Equals `Conv2d(in_channels, out_channels, 1)`; `product` is the same without the bias and with any kernel.

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
        self.weight = new_kernel(out_channels, in_channels, 1)
        self.bias = new_bias(out_channels, in_channels) if bias else None
        self.product = Product1x1(in_channels, out_channels)
        self.of_constants = ops.MatMul()  # the gradient of the function turns both matrices round

    def construct(self, x: Tensor) -> Tensor:
        return self.product(x, like(self.weight, x), None if self.bias is None else like(self.bias, x))

    def on_constants(self, values: Tensor) -> Tensor:
        """Return what the layer makes of constant maps: (N, in_channels) -> (N, out_channels), in float32."""
        o, c = self.weight.shape[:2]
        weight = self.weight.reshape(o, c).T.astype(ms.float32)  # mixed precision may have cast it
        return self.of_constants(values.astype(ms.float32), weight) + self.bias.astype(ms.float32)


class Product1x1(Layer):
    """Mix the channels of every pixel by a given kernel.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.

    Inputs:
        x: (N, in_channels, H, W).
        weight: (out_channels, in_channels, 1, 1), of the same type.
        bias: (out_channels,) of the same type, or None.

    Returns:
        (N, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.quick = _QuickGradient(in_channels, out_channels)
        self.convolve = Convolve(out_channels, 1)
        self.add = ops.BiasAdd()

    def construct(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if chosen(self.form) != "cpu":
            return self.convolve(x, weight, bias)
        y = self.quick(x, weight)
        return y if bias is None else self.add(y, bias)


class _QuickGradient(nn.Cell):
    """Convolve with a kernel (O, C, 1, 1); the gradients are a convolution and a matrix product.

    The operators for the gradients take up to twice the time.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.forward = classic_conv(out_channels, 1)
        self.backward = classic_conv(in_channels, 1)
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
