"""The parts of MPILNet: patches, encoder, decoder of one level, output head; docs/mpilnet.md tells their origin."""

from __future__ import annotations

from mindspore import Tensor, nn, ops
from mindspore.common.initializer import HeNormal, Zero, initializer

from mindrestore.models.layers import (
    AveragePool2x2,
    ChannelMean,
    ChannelScale,
    Conv1x1,
    Conv2d,
    Conv3x3,
    LeakyReLU,
    NarrowConv2d,
    ReflectPad,
    conv_3x3,
)
from mindrestore.models.vgg import VGGFeatures, stage_channels

TAPS = {  # the last ReLU of every stage
    16: ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"),
    19: ("relu1_2", "relu2_2", "relu3_4", "relu4_4", "relu5_4"),
}
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which VGG was trained on


def decoder_channels(width: int) -> tuple[int, ...]:
    """Return the channels of a decoder at the scales of VGG's stages: half of theirs, the finest first."""
    return tuple(channels // 2 for channels in stage_channels(width))


class Encoder(nn.Cell):
    """The five stages of VGG. Drawn He-normal (fan-out), until ImageNet's weights are loaded.

    Args:
        depth: layers of VGG, 16 or 19; its fully connected ones are left out.
        width: channels of its first stage; 64 in VGG.

    Inputs:
        x: (N, 3, H, W) about [0, 1]; H and W multiples of 16.

    Returns:
        Maps with 64, 128, 256, 512 and 512 channels (at width 64) at 1, 1/2, 1/4, 1/8 and 1/16 of the size.
    """

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.vgg = VGGFeatures(f"vgg{depth}", TAPS[depth], width=width)
        for parameter in self.vgg.get_parameters():
            start = HeNormal(mode="fan_out", nonlinearity="relu") if parameter.ndim == 4 else Zero()
            parameter.set_data(initializer(start, parameter.shape, parameter.dtype))
        self.mean, self.spread = (Tensor(values).reshape(1, 3, 1, 1) for values in (_MEAN, _SPREAD))

    def construct(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.vgg((x - self.mean.astype(x.dtype)) / self.spread.astype(x.dtype))


class DehazeBlock(nn.Cell):
    """Residual block with a gate per channel and a gate per pixel.

    The hidden units of the gates start with positive biases: otherwise all eight of a gate are switched off now and
    then, and it never learns.

    Args:
        channels: channels of input and output.

    Inputs:
        x: (N, channels, H, W).

    Returns:
        (N, channels, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // 8, 8)
        self.conv1, self.conv2 = conv_3x3(channels, channels), conv_3x3(channels, channels)
        self.pool = ChannelMean()
        self.channel_gate = nn.SequentialCell(Conv2d(channels, hidden, 1), nn.ReLU(), Conv2d(hidden, channels, 1))
        self.pixel_gate = nn.SequentialCell(Conv1x1(channels, hidden), nn.ReLU(), Conv1x1(hidden, 1))
        for gate in (self.channel_gate, self.pixel_gate):
            gate[0].bias.set_data(gate[0].bias.abs())
        self.scale = ChannelScale()

    def construct(self, x: Tensor) -> Tensor:
        y = self.conv2(x + ops.relu(self.conv1(x)))
        y = self.scale(y, ops.sigmoid(self.channel_gate(self.pool(y))))
        return y * ops.sigmoid(self.pixel_gate(y)) + x


class InternalModule(nn.Cell):
    """Internal integrated learning module: bring deep features to twice their size, join shallow ones of the patch.

    Args:
        deep: channels from the coarser scale.
        shallow: channels of the encoder.
        channels: channels of the result.

    Inputs:
        deep: (N, deep, H/2, W/2).
        shallow: (N, shallow, H, W).

    Returns:
        (N, channels, H, W).
    """

    def __init__(self, deep: int, shallow: int, channels: int) -> None:
        super().__init__()
        self.conv = conv_3x3(deep // 4 + shallow, channels)
        self.block = DehazeBlock(channels)

    def construct(self, deep: Tensor, shallow: Tensor) -> Tensor:
        joined = ops.concat((ops.pixel_shuffle(deep, 2), shallow), 1)  # (N, deep/4 + shallow, H, W)
        return self.block(ops.relu(self.conv(joined)))


class CrossLevelModule(nn.Cell):
    """Cross-level integrated learning module: add what the finer level decoded here, as far as a gate lets it in.

    Args:
        channels: channels of both and of the result.

    Inputs:
        own, finer: (N, channels, H, W); the patches of the finer level are put together before.

    Returns:
        (N, channels, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv_3x3(channels, channels)
        self.gate = Conv1x1(2 * channels, channels)

    def construct(self, own: Tensor, finer: Tensor) -> Tensor:
        return own + ops.sigmoid(self.gate(ops.concat((own, finer), 1))) * self.conv(finer)


class Decoder(nn.Cell):
    """Integrated learning decoder of one level: from the deepest features to the full size.

    Args:
        crossing: whether a finer level comes before.
        width: channels of the first stage of the encoder.

    Inputs:
        shallow: the five stages of the encoder, the finest first.
        finer: what the finer level's decoder gave, put together; an empty tuple when there is none.

    Returns:
        Maps with half of the encoder's channels, at 1, 1/2, 1/4, 1/8 and 1/16 of the size.
    """

    def __init__(self, crossing: bool, width: int) -> None:
        super().__init__()
        shallow, deep = stage_channels(width), decoder_channels(width)
        self.reduce = Conv1x1(shallow[4], deep[4])
        self.bottom = DehazeBlock(deep[4])
        self.internal = nn.CellList([InternalModule(deep[s + 1], shallow[s], deep[s]) for s in range(4)])
        self.cross = nn.CellList([CrossLevelModule(channels) for channels in deep]) if crossing else None

    def construct(self, shallow: tuple[Tensor, ...], finer: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = self.bottom(ops.relu(self.reduce(shallow[4])))
        if self.cross is not None:
            x = self.cross[4](x, finer[4])
        decoded = (x,)
        for s in (3, 2, 1, 0):
            x = self.internal[s](x, shallow[s])
            if self.cross is not None:
                x = self.cross[s](x, finer[s])
            decoded = (x, *decoded)
        return decoded


class Output(nn.Cell):
    """Refine the finest features with means over squares of 32, 16, 8 and 4 pixels, and make the image of them.

    Args:
        channels: of the finest features, 32 as described.

    Inputs:
        x: (N, channels, H, W); H and W multiples of 32.

    Returns:
        (N, 3, H, W) in (-1, 1).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.refine1, self.refine2 = Conv3x3(channels, 20), Conv3x3(20, 20)
        self.contexts = nn.CellList([Conv2d(20, 1, 1) for _ in range(4)])
        self.refine3 = Conv3x3(24, channels)
        self.tail = NarrowConv2d(channels, 3, 7)
        self.leaky, self.pool, self.pad = LeakyReLU(0.2), AveragePool2x2(), ReflectPad(3)

    def construct(self, x: Tensor) -> Tensor:
        x = self.leaky(self.refine2(self.leaky(self.refine1(x))))  # (N, 20, H, W)
        pooled, means = self.pool(x), ()
        for _ in range(4):  # a mean over 2k is the mean of means over k
            pooled = self.pool(pooled)
            means = (pooled, *means)
        maps = ()
        for i in range(4):
            maps = (*maps, repeat_pixels(self.leaky(self.contexts[i](means[i])), 32 // 2**i))  # (N, 1, H, W)
        features = ops.tanh(self.refine3(ops.concat((*maps, x), 1)))  # (N, channels, H, W)
        return ops.tanh(self.tail(self.pad(features)))


def repeat_pixels(x: Tensor, times: int) -> Tensor:
    """Repeat every pixel of a map of one channel as a square.

    Args:
        x: (N, 1, H, W).
        times: side of the squares (pixels).

    Returns:
        (N, 1, H * times, W * times).
    """
    n, _, h, w = x.shape
    lines = ops.tile(x.reshape(n * h * w, 1), (1, times)).reshape(n * h, 1, w * times)
    return ops.tile(lines, (1, times, 1)).reshape(n, 1, h * times, w * times)


def zero_head(channels: int) -> Conv3x3:
    """Make the convolution to a residual image; it starts at zero, so that VGG sees plain photographs at first."""
    head = Conv3x3(channels, 3)
    for parameter in head.get_parameters():
        parameter.set_data(initializer(Zero(), parameter.shape, parameter.dtype))
    return head
