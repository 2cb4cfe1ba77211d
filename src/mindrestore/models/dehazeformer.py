"""DehazeFormer in seven sizes: a U-shape of convolution blocks and blocks of window attention, for dehazing.

Song, He, Qian, Du, "Vision Transformers for Single Image Dehazing", IEEE TIP 2023. CrossDehaze (Shi et al., "Scaling Up
Single Image Dehazing Algorithm by Cross-Data Vision Alignment", IEEE TIM 2025) trains the size B.
Parameter names and shapes are those of the published PyTorch network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import mindspore as ms
from mindspore import Tensor, nn, ops
from mindspore.common.initializer import Normal, initializer

from mindrestore.models.dehazeformer_blocks import WINDOW, Block
from mindrestore.models.layers import (
    ChannelAdd,
    ChannelMean,
    ChannelScale,
    Conv1x1,
    Conv2d,
    MirrorExtend,
    NarrowConv2d,
    Parts,
    Product1x1,
    ReflectPad,
    Windows,
    like,
)
from mindrestore.models.network import RestorationNetwork

_SHIFTS = (0, WINDOW // 2)  # of even and odd blocks
_HEADS, _RATIOS = (2, 4, 6), (2, 4, 4, 2, 2)


class Stage(nn.Cell):
    """One stage: blocks in a row, the last of them with attention, whose windows shift by half in every other block.

    Args:
        channels: features in and out.
        depth: number of blocks.
        heads: of the attention.
        ratio: hidden channels per channel of the MLPs.
        share: of the blocks that attend.
        mixer: "depthwise" or "double".

    Inputs:
        x: (N, C, H, W).

    Returns:
        (N, C, H, W).
    """

    def __init__(self, channels: int, depth: int, heads: int, ratio: int, share: float, mixer: str) -> None:
        super().__init__()
        self.attends = share > 0
        first = depth - share * depth  # that attends
        blocks = [Block(channels, heads, ratio, mixer, _SHIFTS[i % 2] if i >= first else None) for i in range(depth)]
        self.blocks = nn.CellList(blocks)
        self.windows = nn.CellList([Windows(WINDOW, shift) for shift in _SHIFTS])
        self.add = ChannelAdd()

    def construct(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        offset = ops.zeros((n, c), ms.float32)
        places = tuple(windows.places(h, w) if self.attends else () for windows in self.windows)
        for i, block in enumerate(self.blocks):
            x, offset = block(x, offset, places[i % 2])
        return self.add(x, offset)


class PatchEmbed(nn.Cell):
    """Make features of the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pad = ReflectPad(1)
        self.proj = Conv2d(3, channels, 3)

    def construct(self, x: Tensor) -> Tensor:
        return self.proj(self.pad(x))  # (N, C, H, W)


class PatchMerge(nn.Cell):
    """Halve the map."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.proj = Conv2d(channels, out_channels, 2, stride=2)

    def construct(self, x: Tensor) -> Tensor:
        return self.proj(x)  # (N, out, H/2, W/2)


class PatchSplit(nn.Cell):
    """Double the map: four channels become the pixels of a square."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.proj = nn.SequentialCell(Conv1x1(channels, 4 * out_channels))

    def construct(self, x: Tensor) -> Tensor:
        return ops.pixel_shuffle(self.proj(x), 2)  # (N, out, 2H, 2W)


class PatchUnembed(nn.Cell):
    """Make the four maps of the haze model."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pad = ReflectPad(1)
        self.proj = nn.SequentialCell(NarrowConv2d(channels, 4, 3))

    def construct(self, x: Tensor) -> Tensor:
        return self.proj(self.pad(x))  # (N, 4, H, W)


class SKFusion(nn.Cell):
    """Weigh two maps channel by channel, with weights that sum to 1 and follow from both means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(channels // 8, 4)
        self.pool = ChannelMean()
        self.mlp = nn.SequentialCell(
            Conv1x1(channels, squeezed, bias=False), nn.ReLU(), Conv1x1(squeezed, 2 * channels, bias=False)
        )
        self.difference = Product1x1(squeezed, channels)
        self.parts = Parts((channels, channels), axis=0)
        self.scale = ChannelScale()

    def construct(self, a: Tensor, b: Tensor) -> Tensor:
        squeezed = ops.relu(self.mlp[0](self.pool(a + b)))  # (N, C/8, 1, 1)
        for_a, for_b = self.parts(self.mlp[2].weight)  # the scores; only their difference counts
        return b + self.scale(a - b, ops.sigmoid(self.difference(squeezed, like(for_a - for_b, squeezed))))


class DehazeFormer(RestorationNetwork):
    """Remove haze from images of any size; callers give at least 25 pixels a side, as the published network needs.

    The image is computed as K x - B + x from four maps of the network, K for all colours and B for each.

    Args:
        widths: channels of the three levels; multiples of the heads 2, 4 and 6.
        depths: blocks of the five stages.
        attention: share of blocks with attention in the first three stages.
        mixer: "depthwise" for 5x5 convolutions per channel, "double" for two full 3x3 ones (sizes M and L).

    Inputs:
        x: (N, 3, H, W) hazy RGB in [-1, 1].

    Returns:
        (N, 3, H, W) restored RGB; clip to [-1, 1] to show it.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (24, 48, 96),
        depths: Sequence[int] = (16, 16, 16, 8, 8),
        attention: Sequence[float] = (1 / 4, 1 / 2, 3 / 4),
        mixer: str = "depthwise",
    ) -> None:
        super().__init__()
        w1, w2, w3 = widths
        stages = zip((w1, w2, w3, w2, w1), depths, (*_HEADS, 1, 1), _RATIOS, (*attention, 0.0, 0.0))
        self.layer1, self.layer2, self.layer3, self.layer4, self.layer5 = (Stage(*stage, mixer) for stage in stages)
        self.patch_embed = PatchEmbed(w1)
        self.patch_merge1, self.patch_merge2 = PatchMerge(w1, w2), PatchMerge(w2, w3)
        self.skip1, self.skip2 = Conv1x1(w1, w1), Conv1x1(w2, w2)
        self.parts = Parts((1, 3))
        self.patch_split1, self.patch_split2 = PatchSplit(w3, w2), PatchSplit(w2, w1)
        self.fusion1, self.fusion2 = SKFusion(w2), SKFusion(w1)
        self.patch_unembed = PatchUnembed(w1)
        self.extend = MirrorExtend(4)
        _initialise(self, sum(depths))

    def construct(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        x = self.extend(x)  # multiples of 4
        k1 = self.layer1(self.patch_embed(x))  # (N, C1, H, W)
        k2 = self.layer2(self.patch_merge1(k1))  # (N, C2, H/2, W/2)
        u = self.patch_split1(self.layer3(self.patch_merge2(k2)))  # (N, C2, H/2, W/2)
        u = self.layer4(self.fusion1(u, self.skip2(k2)) + u)
        u = self.patch_split2(u)  # (N, C1, H, W)
        u = self.layer5(self.fusion2(u, self.skip1(k1)) + u)
        maps = self.patch_unembed(u)  # (N, 4, H, W)
        k, b = self.parts(maps)
        return ops.slice(ops.concat((k, k, k), 1) * x - b + x, (0, 0, 0, 0), (n, 3, h, w))


def _initialise(net: DehazeFormer, blocks: int) -> None:
    """Draw the kernels inside the blocks from normal distributions, narrower the deeper the network (appendix)."""
    for name, cell in net.cells_and_names():
        inside = ".attn." in name or ".mlp.mlp." in name
        if not inside or ".attn.attn." in name or not hasattr(cell, "weight"):
            continue
        gain = 1.0 if name.endswith(".QK") else (8 * blocks) ** -0.25
        out_channels, fan_in = cell.weight.shape[0], math.prod(cell.weight.shape[1:])
        fan_out = out_channels * math.prod(cell.weight.shape[2:])
        deviation = gain * math.sqrt(2 / (fan_in + fan_out))
        cell.weight.set_data(initializer(Normal(deviation), cell.weight.shape))
        cell.bias.set_data(initializer("zeros", cell.bias.shape))
    for name, cell in net.cells_and_names():
        if name.endswith((".norm1.meta1", ".norm1.meta2")):
            cell.weight.set_data(initializer(Normal(0.02), cell.weight.shape))
            cell.bias.set_data(initializer("ones" if name.endswith("1") else "zeros", cell.bias.shape))
