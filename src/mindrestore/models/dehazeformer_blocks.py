"""The blocks of DehazeFormer: rescale layer norm, neighbours mixed by convolution and attention, channels mixed.

Features travel through the blocks as a map and an offset per image and channel, whose sum they are: to add a constant
to a map takes as long as a small convolution, while a constant passes 1x1 and mirrored convolutions as a small product.
"""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, mint, nn, ops
from mindspore.common.initializer import initializer

from mindrestore.models.layers import (
    ChannelAdd,
    ChannelScale,
    Conv1x1,
    Convolve,
    Depthwise5x5,
    Layer,
    Parts,
    Product1x1,
    ReflectPad,
    WindowAttention,
    Windows,
    channel_sum,
    chosen,
    like,
    linear,
    new_kernel,
)

WINDOW = 8  # side, pixels


class RLN(Layer):
    """Rescale layer norm: normalise each image over channels and pixels, and remember what that removed (section 3.2).

    `weight` and `bias` per channel are not applied here: 1x1 convolutions follow, which take them into their kernels.

    Inputs:
        x: (N, C, H, W) map.
        offset: (N, C) added to it.

    Returns:
        (N, C, H, W) normalised; (N, C) the scale and (N, C) the offset that undo it after the attention.
    """

    keep_float32 = True  # sums over whole images

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = Parameter(ops.ones((1, channels, 1, 1)), name="weight")
        self.bias = Parameter(ops.zeros((1, channels, 1, 1)), name="bias")
        self.meta1, self.meta2 = Conv1x1(1, channels), Conv1x1(1, channels)
        self.normalise = _Normalise()

    def construct(self, x: Tensor, offset: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        normalised, mean, deviation = self.normalise(x, offset)
        return normalised, self.meta1.on_constants(deviation), self.meta2.on_constants(mean)


def _moments(add: ChannelAdd, x: Tensor, offset: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split x (N, C, H, W) + offset (N, C) into its mean (N, 1), the map without it, and the deviation (N, 1)."""
    c, h, w = x.shape[1:]
    mean = (channel_sum(x) / (h * w) + offset).mean(1, keep_dims=True)
    centred = add(x, offset - mean)
    return mean, centred, ops.sqrt(channel_sum(centred * centred).sum(1, keepdims=True) / (c * h * w) + 1e-5)


class _Normalise(Layer):
    """Provide (x + offset - mean) / deviation, mean and deviation (N, 1), and gradients of few whole-map operations."""

    def __init__(self) -> None:
        super().__init__()
        self.add, self.scale = ChannelAdd(), ChannelScale()
        self.tile = ops.Tile()  # the function `ops.tile` cannot be compiled inside a backward pass

    def construct(self, x: Tensor, offset: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, centred, deviation = _moments(self.add, x, offset)
        return self.scale(centred, self.spread(1 / deviation, x.shape[1])), mean, deviation

    def bprop(self, x: Tensor, offset: Tensor, out: tuple, dout: tuple) -> tuple[Tensor, Tensor]:
        normalised, _, deviation = out
        dnormalised, dmean, ddeviation = dout
        c, h, w = x.shape[1:]
        size = c * h * w
        sums, products = channel_sum(dnormalised), channel_sum(dnormalised * normalised)
        slope = (
            ddeviation - products.sum(1, keepdims=True) / deviation
        ) / size  # d deviation / d x = normalised / size
        level = (dmean - sums.sum(1, keepdims=True) / deviation) / size
        dx = self.scale(dnormalised, self.spread(1 / deviation, c)) + self.scale(normalised, self.spread(slope, c))
        dx = self.add(dx, self.tile(level, (1, c)))
        return dx, sums / deviation + slope * channel_sum(normalised) + h * w * level

    def spread(self, values: Tensor, channels: int) -> Tensor:
        """Return what multiplies every channel by the number of its image: (N, 1) -> (N, C, 1, 1) or (N, 1, 1, 1)."""
        if chosen(self.form) != "cpu":
            return values.reshape(-1, 1, 1, 1)
        return self.tile(values, (1, channels)).reshape(-1, channels, 1, 1)


class Mirrored3x3(nn.Cell):
    """Convolve 3x3 with a mirrored border; the size stays. The bias is left to the caller."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = new_kernel(channels, channels, 3)
        self.bias = Parameter(initializer("zeros", (channels,)), name="bias")
        self.pad = ReflectPad(1)
        self.convolve = Convolve(channels, 3)

    def construct(self, x: Tensor) -> Tensor:
        return self.convolve(self.pad(x), like(self.weight, x))


class DoubleConv(nn.Cell):
    """Two 3x3 convolutions with a ReLU between them: what the sizes M and L have in place of the depth-wise one.

    Inputs:
        x: (N, C, H, W); offset: (N or 1, C) constants on top of it.

    Returns:
        (N, C, H, W), and (1, C) constants on top of it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("0", "2"):  # as published, where the ReLU is number 1
            setattr(self, name, Mirrored3x3(channels))
        self.add = ChannelAdd()

    def construct(self, x: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        first, second = getattr(self, "0"), getattr(self, "2")
        constant = ops.matmul(offset.astype(ms.float32), first.weight.sum((2, 3)).T) + first.bias
        hidden = ops.relu(self.add(first(x), ops.tile(constant, (x.shape[0] // constant.shape[0], 1))))
        return second(hidden), second.bias.reshape(1, -1)


class RelativeAttention(Layer):
    """Let the pixels of each 8x8 window attend to each other, by content and by relative position (section 3.1).

    A small network turns the logarithm of the distance in rows and columns into what is added to the scores. It sees
    each of the 225 distances once.

    Inputs:
        q, k, v: (B, C, 8, 8) windows; the q scaled.

    Returns:
        (B, C, 8, 8).
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        token = np.arange(WINDOW * WINDOW)
        place = np.stack((token // WINDOW, token % WINDOW), -1)
        distance = place[:, None] - place  # (64, 64, 2) rows and columns
        table = np.sign(distance) * np.log1p(np.abs(distance))
        self.relative_positions = Parameter(Tensor(table, ms.float32), name="relative_positions", requires_grad=False)
        _, first, kind = np.unique(distance.reshape(-1, 2), axis=0, return_index=True, return_inverse=True)
        self.first, self.kind = Tensor(first, ms.int32), Tensor(kind.reshape(-1), ms.int32)
        self.meta = nn.SequentialCell(linear(2, 256), nn.ReLU(), linear(256, heads))
        self.mix = WindowAttention()

    def construct(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        b, c, p = q.shape[0], q.shape[1], WINDOW * WINDOW
        q, k, v = (part.reshape(b, self.heads, c // self.heads, p) for part in (q, k, v))
        return self.mix(q, k, v, like(self.position_bias(), q))[0].reshape(b, c, WINDOW, WINDOW)

    def position_bias(self) -> Tensor:
        """Return what relative position adds to the scores: (heads, 64, 64) for query and key."""
        distances = self.rows(self.relative_positions.reshape(-1, 2), self.first)  # (225, 2)
        bias = self.rows(self.meta(distances), self.kind)  # (64 * 64, heads)
        return ops.transpose(bias, (1, 0)).reshape(self.heads, WINDOW * WINDOW, WINDOW * WINDOW)

    def rows(self, x: Tensor, places: Tensor) -> Tensor:
        return mint.index_select(x, 0, places) if chosen(self.form) == "ascend" else ops.gather(x, places, 0)


class Attention(Layer):
    """Mix neighbours by convolution and, in some blocks, by attention in windows (section 3.3).

    Inputs:
        x: (N, C, H, W) map.
        offset: (N or 1, C) constants on top of it.
        scale: (1, C, 1, 1) to multiply the map with before the offset, or None for 1.
        places: of the windows, see `Windows.places`; unused without attention.

    Returns:
        (N, C, H, W), and (N or 1, C) constants on top of it.
    """

    def __init__(self, channels: int, heads: int, mixer: str, shift: int | None) -> None:
        super().__init__()
        attends = self.attends = shift is not None
        self.projects = attends or mixer == "depthwise"
        self.conv = Depthwise5x5(channels) if mixer == "depthwise" else DoubleConv(channels)
        if self.projects:
            self.V, self.proj = Conv1x1(channels, channels), Conv1x1(channels, channels)
        if attends:
            softness = np.ones((2 * channels, 1, 1, 1))
            softness[:channels] = (channels // heads) ** -0.5  # for the queries
            self.softness = Tensor(softness, ms.float32)
            self.QK = Conv1x1(channels, 2 * channels)
            self.attn = RelativeAttention(heads)
            self.project = Product1x1(channels, 3 * channels)
            self.windows = Windows(WINDOW, shift)
            self.parts, self.bias_parts = Parts((channels,) * 3), Parts((channels,) * 2, axis=0)
            self.add = ops.BiasAdd()

    def construct(self, x: Tensor, offset: Tensor, scale: Tensor | None, places: tuple | None) -> tuple[Tensor, Tensor]:
        if not self.projects:
            return self.conv(x, offset)
        kernel = self.V.weight if scale is None else self.V.weight * scale
        constant = self.V.on_constants(offset)
        y, mixed = self.conv(self.V.product(x, like(kernel, x)), constant)
        if self.attends:
            y = y + self.attention(x, offset, kernel, scale, places)
            mixed = mixed + constant  # the weights of the softmax sum to 1
        return self.proj.product(y, like(self.proj.weight, y)), self.proj.on_constants(mixed)

    def attention(self, x: Tensor, offset: Tensor, value: Tensor, scale: Tensor, places: tuple) -> Tensor:
        """Attend within windows. The keys go without their bias, which the softmax does not see."""
        kernel = ops.concat((self.QK.weight * scale * self.softness, value), 0)  # (3C, C, 1, 1)
        windows = self.windows.cut(x, places)  # (B, C, 8, 8)
        q, k, v = self.parts(self.project(windows, like(kernel, windows)))
        bias = like(self.bias_parts(self.QK.on_constants(offset).reshape(-1) * self.softness.reshape(-1))[0], q)
        q = q + bias.reshape(1, -1, 1, 1) if chosen(self.form) == "ascend" else self.add(q, bias)
        mixed = self.attn(q, k, v)
        return self.windows.join(mixed, places, x.shape)


class Mlp(nn.Cell):
    """Two 1x1 convolutions with a ReLU between them, on a map and its offset."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.mlp = nn.SequentialCell(
            Conv1x1(channels, ratio * channels), nn.ReLU(), Conv1x1(ratio * channels, channels)
        )
        self.add = ChannelAdd()

    def construct(self, x: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        first, second = self.mlp[0], self.mlp[2]
        hidden = first.product(x, like(first.weight, x))  # (N, rC, H, W)
        hidden = ops.relu(self.add(hidden, first.on_constants(offset)))
        return second.product(hidden, like(second.weight, hidden)), second.bias


class Block(nn.Cell):
    """Mix neighbours, then channels, each with a skip connection; only attention is normalised (section 3.2)."""

    def __init__(self, channels: int, heads: int, ratio: int, mixer: str, shift: int | None) -> None:
        super().__init__()
        self.attends = shift is not None
        if self.attends:
            self.norm1 = RLN(channels)
            self.scale = ChannelScale()
        self.attn = Attention(channels, heads, mixer, shift)
        self.mlp = Mlp(channels, ratio)

    def construct(self, x: Tensor, offset: Tensor, places: tuple | None) -> tuple[Tensor, Tensor]:
        if self.attends:
            n, c = x.shape[:2]
            y, rescale, rebias = self.norm1(x, offset)
            y, constant = self.attn(y, self.norm1.bias.reshape(1, c), self.norm1.weight, places)
            y = self.scale(y, like(rescale, y).reshape(n, c, 1, 1))
            constant = constant * rescale + rebias
        else:
            y, constant = self.attn(x, offset, None, None)
        x, offset = x + y, offset + constant
        y, constant = self.mlp(x, offset)
        return x + y, offset + constant
