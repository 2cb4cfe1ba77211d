"""Means, sums, factors and offsets per channel."""

from __future__ import annotations

import mindspore as ms
from mindspore import Tensor, mint, nn, ops

from mindrestore.models.layers.form import Layer, chosen, like


class ChannelMean(Layer):
    """Average every channel over the image, in float32.

    Line by line on CPU, as rows of a matrix: seven times faster than over the last axes of three or four.

    Inputs:
        x: (N, C, H, W).

    Returns:
        (N, C, 1, 1), of the type of x.
    """

    def construct(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        form = chosen(self.form)
        if form == "ascend":  # sums in float32 without a copy of the map
            return mint.mean(x, (2, 3), True, dtype=ms.float32).astype(x.dtype)
        if form != "cpu":
            return ops.mean(x.astype(ms.float32), (2, 3), True).astype(x.dtype)
        lines = x.reshape(n * c * h, w).astype(ms.float32).sum(1) / w  # the gradient of a mean divides the whole image
        return (lines.reshape(n * c, h).sum(1) / h).reshape(n, c, 1, 1).astype(x.dtype)


def channel_sum(x: Tensor) -> Tensor:
    """Sum every channel over the image, in float32.

    Args:
        x: (N, C, H, W).

    Returns:
        (N, C) float32.
    """
    n, c, h, w = x.shape
    return x.reshape(n * c, h * w).astype(ms.float32).sum(1).reshape(n, c)


class ChannelScale(Layer):
    """Multiply every channel of every image by a number of its own.

    On CPU a product with broadcasting keeps two lists of positions, four times as large as the image, as long as the
    graph lives. A 1x1 convolution with one channel per group is the same product, three times faster, without them.

    Inputs:
        x: (N, C, H, W).
        gate: (N, C, 1, 1).

    Returns:
        (N, C, H, W) x * gate.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_groups = _ScaledByGroups()

    def construct(self, x: Tensor, gate: Tensor) -> Tensor:
        return self.by_groups(x, gate) if chosen(self.form) == "cpu" else x * gate


class _ScaledByGroups(nn.Cell):
    """The product as a convolution, and its gradient."""

    def construct(self, x: Tensor, gate: Tensor) -> Tensor:
        return _scaled(x, gate)

    def bprop(self, x: Tensor, gate: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
        n, c, h, w = x.shape
        x, gate = like(x, dout), like(gate, dout)
        lines = (dout * x).reshape(n * c * h, w).astype(ms.float32).sum(1)
        dgate = lines.reshape(n * c, h).sum(1).reshape(n, c, 1, 1).astype(x.dtype)
        return _scaled(dout, gate), dgate


def _scaled(x: Tensor, gate: Tensor) -> Tensor:
    n, c, h, w = x.shape
    product = ops.Conv2D(n * c, 1, mode=1, pad_mode="valid", pad=0, stride=1, dilation=1, group=n * c)
    gate = gate.reshape(n * c, 1, 1, 1)
    return product(x, gate) if n == 1 else product(x.reshape(1, n * c, h, w), gate).reshape(n, c, h, w)


class ChannelAdd(Layer):
    """Add a number of its own to every channel of every image.

    Inputs:
        x: (N, C, H, W).
        offset: (N, C), any floating type.

    Returns:
        (N, C, H, W) x + offset.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_bias = _AddedAsBias()

    def construct(self, x: Tensor, offset: Tensor) -> Tensor:
        offset = like(offset, x)
        if chosen(self.form) == "cpu":
            return self.by_bias(x, offset)
        return x + offset.reshape(*offset.shape, 1, 1)


class _AddedAsBias(nn.Cell):
    """The sum as a bias per channel of one wide image, with a gradient of the offset that is summed over that."""

    def __init__(self) -> None:
        super().__init__()
        self.add = ops.BiasAdd()  # twice as fast as a sum that broadcasts

    def construct(self, x: Tensor, offset: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return self.add(x.reshape(1, n * c, h, w), offset.reshape(n * c)).reshape(n, c, h, w)

    def bprop(self, x: Tensor, offset: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
        return dout, channel_sum(dout).astype(dout.dtype)
