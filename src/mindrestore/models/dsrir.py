"""DSRIR, all-in-one restoration by three subnets in a row, each with its image and its uncertainty map.

Wang et al., "Dynamic spatial refinement learning for progressive all-in-one image restoration", Information Processing
& Management 2025. Parameter names and shapes are those of the published PyTorch network.
"""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from mindrestore.models.layers import BilinearResize, Conv2d, Conv3x3, GridGate, GridMean, LeakyReLU, Parts
from mindrestore.models.network import RestorationNetwork

_REDUCTION = 8  # channels per channel of every squeezed description


class PatchAttention(nn.Cell):
    """Weigh the channels of each cell of a grid that spans the whole feature map, by gates from the cell's means.

    Args:
        channels: features in and out.
        grid: rows and columns of cells; (1, 1) is ordinary channel attention.

    Inputs:
        x: (N, channels, H, W); H and W multiples of the grid's sides.

    Returns:
        (N, channels, H, W).
    """

    def __init__(self, channels: int, grid: tuple[int, int]) -> None:
        super().__init__()
        squeezed = channels // _REDUCTION
        self.pool = GridMean(*grid)
        self.conv_du = nn.SequentialCell(Conv2d(channels, squeezed, 1), nn.ReLU(), Conv2d(squeezed, channels, 1))
        self.scale = GridGate()

    def construct(self, x: Tensor) -> Tensor:
        gate = ops.sigmoid(self.conv_du(self.pool(x)))  # (N, C, rows, columns)
        return self.scale(x, gate)


class PAB(nn.Cell):
    """Patch attention block: two convolutions, patch attention, skip connection."""

    def __init__(self, channels: int, grid: int) -> None:
        super().__init__()
        self.conv1 = Conv3x3(channels, channels, bias=False)
        self.conv2 = Conv3x3(channels, channels, bias=False)
        self.PA = PatchAttention(channels, (grid, grid))

    def construct(self, x: Tensor) -> Tensor:
        return self.PA(self.conv2(ops.relu(self.conv1(x)))) + x


class PAG(nn.Cell):
    """Patch attention group: one block per grid from fine to coarse, a convolution, skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        blocks = [PAB(channels, grid) for grid in (8, 4, 2, 1)]
        self.body = nn.SequentialCell(*blocks, Conv3x3(channels, channels, bias=False))

    def construct(self, x: Tensor) -> Tensor:
        return self.body(x) + x


class Down(nn.Cell):
    """Halve the map, then change the channels."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.down = nn.SequentialCell(BilinearResize("half"), Conv2d(channels, out_channels, 1, bias=False))

    def construct(self, x: Tensor) -> Tensor:
        return self.down(x)  # (N, out, H/2, W/2)


class Up(nn.Cell):
    """Double the map and change the channels; the 1x1 convolution comes first, where it costs a quarter."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = nn.SequentialCell(BilinearResize("double"), Conv2d(channels, out_channels, 1, bias=False))

    def construct(self, x: Tensor) -> Tensor:
        return self.up[0](self.up[1](x))  # (N, out, 2H, 2W)


class SubNet1(nn.Cell):
    """U-shape of three levels, two blocks per level and side."""

    def __init__(self, widths: tuple[int, int, int], blocks: int) -> None:
        super().__init__()
        c1, c2, c3 = widths
        self.encoder1, self.decoder1 = (_blocks(c1, 8, blocks) for _ in range(2))
        self.encoder2, self.decoder2 = (_blocks(c2, 4, blocks) for _ in range(2))
        self.encoder3, self.decoder3 = (_blocks(c3, 2, blocks) for _ in range(2))
        self.down1, self.down2 = Down(c1, c2), Down(c2, c3)
        self.up1, self.up2 = Up(c2, c1), Up(c3, c2)
        self.skipatt1, self.skipatt2 = PAB(c1, 8), PAB(c2, 4)

    def construct(self, x: Tensor) -> Tensor:
        e1 = self.encoder1(x)  # (N, C1, H, W)
        e2 = self.encoder2(self.down1(e1))  # (N, C2, H/2, W/2)
        e3 = self.encoder3(self.down2(e2))  # (N, C3, H/4, W/4)
        d3 = self.decoder3(e3)
        d2 = self.decoder2(self.up2(d3) + self.skipatt2(e2))  # (N, C2, H/2, W/2)
        return self.decoder1(self.up1(d2) + self.skipatt1(e1))  # (N, C1, H, W)


class SubNet2(nn.Cell):
    """U-shape of two levels, twice as many blocks on the lower one."""

    def __init__(self, widths: tuple[int, int], blocks: int) -> None:
        super().__init__()
        c1, c2 = widths
        self.encoder1, self.decoder1 = (_blocks(c1, 4, blocks) for _ in range(2))
        self.encoder2, self.decoder2 = (_blocks(c2, 2, 2 * blocks) for _ in range(2))
        self.down1 = Down(c1, c2)
        self.up1 = Up(c2, c1)
        self.skipatt1 = PAB(c1, 4)

    def construct(self, x: Tensor) -> Tensor:
        e1 = self.encoder1(x)  # (N, C1, H, W)
        d2 = self.decoder2(self.encoder2(self.down1(e1)))  # (N, C2, H/2, W/2)
        return self.decoder1(self.up1(d2) + self.skipatt1(e1))  # (N, C1, H, W)


class SubNet3(nn.Cell):
    """Groups in a row at full resolution."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.names = [f"PAG{number}" for number in range(1, groups + 1)]
        for name in self.names:
            setattr(self, name, PAG(channels))

    def construct(self, x: Tensor) -> Tensor:
        for name in self.names:
            x = getattr(self, name)(x)
        return x


class PRU(nn.Cell):
    """Pixel-wise refinement unit: add the part of a convolved map that a mask per pixel and channel selects."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = channels // _REDUCTION
        self.conv = Conv3x3(channels, channels, bias=False)
        self.fr = nn.SequentialCell(Conv3x3(channels, squeezed), nn.ReLU(), Conv3x3(squeezed, channels))

    def construct(self, x: Tensor) -> Tensor:
        refined = self.conv(x)
        return ops.sigmoid(self.fr(refined)) * refined + x


class USAU(nn.Cell):
    """Uncertainty-supervised attention unit: make the stage's image and uncertainty map, and pass selected features on.

    Args:
        channels: features in and out.
        last: True in the last stage, which passes nothing on; `conv2` and `att_map` are then kept for the weight files
            only and never trained.

    Inputs:
        x: (N, channels, H, W) features.
        degraded: (N, 3, H, W) the network's input.

    Returns:
        Features (N, channels, H, W) for the next stage, restored image (N, 3, H, W), and uncertainty map (N, 3, H, W),
        which acts as the logarithm of a scale and may be negative.
    """

    def __init__(self, channels: int, last: bool = False) -> None:
        super().__init__()
        self.last = last
        self.conv_in = Conv3x3(3, channels, bias=False)
        self.conv1, self.conv2 = (Conv2d(channels, channels, 1, bias=False) for _ in range(2))
        self.conv_out = Conv3x3(channels, 3, bias=False)
        self.var_est = nn.SequentialCell(Conv3x3(channels, channels), LeakyReLU(0.1))
        self.var_map = nn.SequentialCell(Conv3x3(channels, 3), LeakyReLU(0.1))
        self.att_map = nn.SequentialCell(Conv2d(channels, channels, 1), nn.Sigmoid())
        if last:
            for parameter in (*self.conv2.get_parameters(), *self.att_map.get_parameters()):
                parameter.requires_grad = False

    def construct(self, x: Tensor, degraded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.conv1(x) + self.conv_in(degraded)
        image = self.conv_out(features) + degraded
        estimate = self.var_est(features)  # (N, C, H, W)
        uncertainty = self.var_map(estimate)
        if not self.last:
            x = self.att_map(estimate) * self.conv2(x) + x
        return x, image, uncertainty


class DSRIR(RestorationNetwork):
    """Remove noise, rain or haze without being told which; each stage sees new features and the stage before.

    Args:
        width: unit of all channel numbers (published: 16); the subnets have 2, 4, 6, then 3, 4, then 4 times as many.
        blocks: patch attention blocks per level and side of the two U-shaped subnets (twice as many on the lowest level
            of the second).
        groups: patch attention groups of the last subnet.

    Inputs:
        x: (N, 3, H, W) degraded RGB in [0, 1]; H and W multiples of 8.

    Returns:
        Three images and three uncertainty maps of (N, 3, H, W), those of the last stage first. Clip the first image to
        [0, 1] to show it.
    """

    def __init__(self, *, width: int = 16, blocks: int = 2, groups: int = 4) -> None:
        super().__init__()
        c1, c2, c3 = widths = 2 * width, 3 * width, 4 * width
        self.ebd = Conv3x3(3, c1 + c2 + c3, bias=False)
        self.parts = Parts(widths)
        self.SN1 = SubNet1((c1, 2 * c1, 3 * c1), blocks)
        self.SN2 = SubNet2((c2, 4 * width), blocks)
        self.SN3 = SubNet3(c3, groups)
        self.PRU1, self.PRU2, self.PRU3 = PRU(c1), PRU(c2), PRU(c3)
        self.usau_1, self.usau_2, self.usau_3 = USAU(c1), USAU(c2), USAU(c3, last=True)
        self.channel_comp1 = Conv2d(c1 + c2, c2, 1, bias=False)
        self.channel_comp2 = Conv2d(c2 + c3, c3, 1, bias=False)

    def construct(self, x: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
        x1, x2, x3 = self.parts(self.ebd(x))
        h = self.PRU1(self.SN1(x1))
        h, image1, uncertainty1 = self.usau_1(h, x)
        h = self.PRU2(self.SN2(self.channel_comp1(ops.concat((h, x2), 1))))
        h, image2, uncertainty2 = self.usau_2(h, x)
        h = self.PRU3(self.SN3(self.channel_comp2(ops.concat((h, x3), 1))))
        _, image3, uncertainty3 = self.usau_3(h, x)
        return (image3, image2, image1), (uncertainty3, uncertainty2, uncertainty1)

    def unused_names(self) -> tuple[str, ...]:
        """Name the parameters that stand in the weight files although no output depends on them."""
        return (*self.usau_3.conv2.parameters_dict(), *self.usau_3.att_map.parameters_dict())


def _blocks(channels: int, grid: int, count: int) -> nn.SequentialCell:
    return nn.SequentialCell(*(PAB(channels, grid) for _ in range(count)))
