"""MPRNet, multi-stage progressive restoration: deblurring, denoising and deraining.

Zamir et al., "Multi-Stage Progressive Image Restoration", CVPR 2021.
Parameter names and shapes are those of the published PyTorch network. Quarters and halves of the image have one size,
so they are stacked on the batch axis: the numbers are those of separate calls, since nothing mixes samples.
"""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from mindrestore.models.layers import (
    BilinearResize,
    ChannelMean,
    ChannelScale,
    Conv2d,
    Conv3x3,
    Halves,
    ScalarPReLU,
    fill_normal,
)
from mindrestore.models.network import RestorationNetwork


class ChannelAttention(nn.Cell):
    """Weigh every channel by a gate computed from its mean over what it is given: a quarter, a half or the image."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        squeezed = channels // reduction
        self.pool = ChannelMean()
        self.conv_du = nn.SequentialCell(
            Conv2d(channels, squeezed, 1, bias=False),
            nn.ReLU(),
            Conv2d(squeezed, channels, 1, bias=False),
            nn.Sigmoid(),
        )

        self.scale = ChannelScale()

    def construct(self, x: Tensor) -> Tensor:
        squeezed = ops.relu(self.conv_du[0](self.pool(x)))  # (N, C/r, 1, 1)
        return self.scale(x, ops.sigmoid(self.conv_du[2](squeezed)))


class CAB(nn.Cell):
    """Channel attention block: two convolutions, channel attention, skip connection.

    Args:
        channels: features in and out.
        reduction: channels per channel of the squeezed description.
        act: the activation that all blocks of the network share.
    """

    def __init__(self, channels: int, reduction: int, act: ScalarPReLU) -> None:
        super().__init__()
        self.CA = ChannelAttention(channels, reduction)
        self.body = nn.SequentialCell(
            Conv3x3(channels, channels, bias=False), act, Conv3x3(channels, channels, bias=False)
        )

    def construct(self, x: Tensor) -> Tensor:
        return self.CA(self.body[2](self.body[1](self.body[0](x)))) + x


class DownSample(nn.Cell):
    """Halve the image, then change the channels."""

    def __init__(self, channels: int, more: int) -> None:
        super().__init__()
        self.down = nn.SequentialCell(BilinearResize("half"), Conv2d(channels, channels + more, 1, bias=False))

    def construct(self, x: Tensor) -> Tensor:
        return self.down(x)  # (N, C + more, H/2, W/2)


class UpSample(nn.Cell):
    """Double the image and change the channels; the 1x1 convolution comes first, where it costs a quarter."""

    def __init__(self, channels: int, more: int) -> None:
        super().__init__()
        self.up = nn.SequentialCell(BilinearResize("double"), Conv2d(channels + more, channels, 1, bias=False))

    def construct(self, x: Tensor) -> Tensor:
        return self.up[0](self.up[1](x))  # (N, C, 2H, 2W)


class SAM(nn.Cell):
    """Supervised attention module: make the stage's image, and let it select what the next stage sees (section 3.3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv2d(channels, channels, 1, bias=False)
        self.conv2 = Conv2d(channels, 3, 1, bias=False)
        self.conv3 = Conv2d(3, channels, 1, bias=False)

    def construct(self, features: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        image = self.conv2(features) + x  # (N, 3, H, W)
        return self.conv1(features) * ops.sigmoid(self.conv3(image)) + features, image


class Encoder(nn.Cell):
    """Three levels of two blocks each, going down; the second stage adds features of the first (section 3.2)."""

    def __init__(self, widths: tuple[int, int, int], reduction: int, act: ScalarPReLU, fuse: bool) -> None:
        super().__init__()
        c1, c2, c3 = widths
        self.encoder_level1 = _blocks(c1, 2, reduction, act)
        self.encoder_level2 = _blocks(c2, 2, reduction, act)
        self.encoder_level3 = _blocks(c3, 2, reduction, act)
        self.down12 = DownSample(c1, c2 - c1)
        self.down23 = DownSample(c2, c3 - c2)
        self.fuse = fuse
        if fuse:
            self.csff_enc1, self.csff_dec1 = (Conv2d(c1, c1, 1, bias=False) for _ in range(2))
            self.csff_enc2, self.csff_dec2 = (Conv2d(c2, c2, 1, bias=False) for _ in range(2))
            self.csff_enc3, self.csff_dec3 = (Conv2d(c3, c3, 1, bias=False) for _ in range(2))

    def construct(self, x: Tensor, encoded: tuple = (), decoded: tuple = ()) -> tuple[Tensor, Tensor, Tensor]:
        e1 = self.encoder_level1(x)  # (N, C1, H, W)
        if self.fuse:
            e1 = e1 + self.csff_enc1(encoded[0]) + self.csff_dec1(decoded[0])
        e2 = self.encoder_level2(self.down12(e1))  # (N, C2, H/2, W/2)
        if self.fuse:
            e2 = e2 + self.csff_enc2(encoded[1]) + self.csff_dec2(decoded[1])
        e3 = self.encoder_level3(self.down23(e2))  # (N, C3, H/4, W/4)
        if self.fuse:
            e3 = e3 + self.csff_enc3(encoded[2]) + self.csff_dec3(decoded[2])
        return e1, e2, e3


class Decoder(nn.Cell):
    """Three levels of two blocks each, going up, with attended skip connections."""

    def __init__(self, widths: tuple[int, int, int], reduction: int, act: ScalarPReLU) -> None:
        super().__init__()
        c1, c2, c3 = widths
        self.decoder_level1 = _blocks(c1, 2, reduction, act)
        self.decoder_level2 = _blocks(c2, 2, reduction, act)
        self.decoder_level3 = _blocks(c3, 2, reduction, act)
        self.skip_attn1 = CAB(c1, reduction, act)
        self.skip_attn2 = CAB(c2, reduction, act)
        self.up21 = UpSample(c1, c2 - c1)
        self.up32 = UpSample(c2, c3 - c2)

    def construct(self, e1: Tensor, e2: Tensor, e3: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        d3 = self.decoder_level3(e3)  # (N, C3, H/4, W/4)
        d2 = self.decoder_level2(self.up32(d3) + self.skip_attn2(e2))  # (N, C2, H/2, W/2)
        d1 = self.decoder_level1(self.up21(d2) + self.skip_attn1(e1))  # (N, C1, H, W)
        return d1, d2, d3


class ORB(nn.Cell):
    """Original resolution block: channel attention blocks in a row, a convolution, a skip connection."""

    def __init__(self, channels: int, num_cab: int, reduction: int, act: ScalarPReLU) -> None:
        super().__init__()
        blocks = [CAB(channels, reduction, act) for _ in range(num_cab)]
        self.body = nn.SequentialCell(*blocks, Conv3x3(channels, channels, bias=False))

    def construct(self, x: Tensor) -> Tensor:
        return self.body(x) + x


class ORSNet(nn.Cell):
    """Original resolution subnetwork: no down-sampling, fed with the second stage's features (section 3.1)."""

    def __init__(
        self, widths: tuple[int, int, int], channels: int, num_cab: int, reduction: int, act: ScalarPReLU
    ) -> None:
        super().__init__()
        c1, c2, c3 = widths
        self.orb1, self.orb2, self.orb3 = (ORB(channels, num_cab, reduction, act) for _ in range(3))
        self.up_enc1, self.up_dec1 = (UpSample(c1, c2 - c1) for _ in range(2))
        self.up_enc2, self.up_dec2 = (nn.SequentialCell(UpSample(c2, c3 - c2), UpSample(c1, c2 - c1)) for _ in range(2))
        self.conv_enc1, self.conv_enc2, self.conv_enc3 = (Conv2d(c1, channels, 1, bias=False) for _ in range(3))
        self.conv_dec1, self.conv_dec2, self.conv_dec3 = (Conv2d(c1, channels, 1, bias=False) for _ in range(3))

    def construct(self, x: Tensor, encoded: tuple, decoded: tuple) -> Tensor:
        x = self.orb1(x)  # (N, Co, H, W)
        encoded, decoded = _wait(encoded, x), _wait(decoded, x)
        x = x + self.conv_enc1(encoded[0]) + self.conv_dec1(decoded[0])
        x = self.orb2(x)
        encoded, decoded = _wait(encoded, x), _wait(decoded, x)
        x = x + self.conv_enc2(self.up_enc1(encoded[1])) + self.conv_dec2(self.up_dec1(decoded[1]))
        x = self.orb3(x)
        encoded, decoded = _wait(encoded, x), _wait(decoded, x)
        return x + self.conv_enc3(self.up_enc2(encoded[2])) + self.conv_dec3(self.up_dec2(decoded[2]))


def _wait(features: tuple, x: Tensor) -> tuple:
    """Order what is made of the features behind x: a graph runs branches early and then holds whole maps for long."""
    return ops.depend(features[0], x), ops.depend(features[1], x), ops.depend(features[2], x)


class MPRNet(RestorationNetwork):
    """Remove blur, noise or rain with MPRNet: quarters, then halves, then the whole image at full resolution.

    Args:
        n_feat: features at full resolution.
        scale_unetfeats: features added at each lower level of the first two stages.
        scale_orsnetfeats: features added in the third stage.
        num_cab: channel attention blocks per original resolution block.
        reduction: channels per channel of the squeezed description in channel attention.
        init_std: standard deviation of normally distributed initial kernels; None draws them as PyTorch does.

    Inputs:
        x: (N, 3, H, W) degraded RGB in [0, 1]; H and W multiples of 8.

    Returns:
        Three images (N, 3, H, W), of stage 3 (the result), 2 and 1; clip to [0, 1] to show them.
    """

    def __init__(
        self,
        *,
        n_feat: int = 40,
        scale_unetfeats: int = 20,
        scale_orsnetfeats: int = 16,
        num_cab: int = 8,
        reduction: int = 4,
        init_std: float | None = None,
    ) -> None:
        super().__init__()
        n, full = n_feat, n_feat + scale_orsnetfeats
        widths = (n, n + scale_unetfeats, n + 2 * scale_unetfeats)
        act = ScalarPReLU(0.25)  # one slope for the whole network
        self.rows, self.columns = Halves(2), Halves(3)
        self.shallow_feat1, self.shallow_feat2, self.shallow_feat3 = (
            nn.SequentialCell(Conv3x3(3, n, bias=False), CAB(n, reduction, act)) for _ in range(3)
        )
        self.stage1_encoder = Encoder(widths, reduction, act, fuse=False)
        self.stage1_decoder = Decoder(widths, reduction, act)
        self.stage2_encoder = Encoder(widths, reduction, act, fuse=True)
        self.stage2_decoder = Decoder(widths, reduction, act)
        self.stage3_orsnet = ORSNet(widths, full, num_cab, reduction, act)
        self.sam12 = SAM(n)
        self.sam23 = SAM(n)
        self.concat12 = Conv3x3(2 * n, n, bias=False)
        self.concat23 = Conv3x3(2 * n, full, bias=False)
        self.tail = Conv3x3(full, 3, bias=False)
        if init_std is not None:
            fill_normal(self, init_std)

    def construct(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        halves = self.rows.cut(x)  # (2N, 3, H/2, W): all top halves, then all bottom halves
        quarters = self.columns.cut(halves)  # (4N, 3, H/2, W/2): left quarters, then right quarters
        encoded = self.stage1_encoder(self.shallow_feat1(quarters))
        encoded = self.columns.join_each(encoded)  # (2N, C1, H/2, W) and lower levels
        decoded = self.stage1_decoder(*encoded)
        attended, image1 = self.sam12(decoded[0], halves)

        y = self.concat12(ops.concat((self.shallow_feat2(ops.depend(halves, attended)), attended), 1))
        encoded = self.rows.join_each(self.stage2_encoder(y, encoded, decoded))  # (N, C1, H, W) and lower levels
        decoded = self.stage2_decoder(*encoded)
        attended, image2 = self.sam23(decoded[0], x)

        y = self.concat23(ops.concat((self.shallow_feat3(ops.depend(x, attended)), attended), 1))
        y = self.stage3_orsnet(y, encoded, decoded)  # (N, Co, H, W)
        return self.tail(y) + x, image2, self.rows.join(image1)

    def tied_names(self) -> dict[str, str]:
        """Return the published names that stand for one parameter: every block lists the shared slope as its own."""
        blocks = [name for name, cell in self.cells_and_names() if isinstance(cell, CAB)]
        names = [f"{block}.body.1.weight" for block in blocks]
        own = dict(self.parameters_and_names())
        slope = next(name for name in names if name in own)
        return {name: slope for name in names if name != slope}


def _blocks(channels: int, count: int, reduction: int, act: ScalarPReLU) -> nn.SequentialCell:
    return nn.SequentialCell(*(CAB(channels, reduction, act) for _ in range(count)))
