"""AECR-Net, a compact dehazing network.

Wu et al., "Contrastive Learning for Compact Single Image Dehazing", CVPR 2021.
Parameter names, shapes and order of channels are those of the published PyTorch network.
"""

from __future__ import annotations

from collections.abc import Iterable

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindrestore.models.layers import (
    ChannelMean,
    Conv2d,
    Convolve,
    DeformConv2d,
    Layer,
    NarrowConv2d,
    ReflectPad,
    UpsampleConv,
    new_bias,
    new_kernel,
)
from mindrestore.models.network import RestorationNetwork


class FastDeconv(Layer):
    """Whiten the image patches, then convolve 3x3 (network deconvolution, Ye et al., ICLR 2020).

    The inverse square root of the patch covariance is taken by five Newton-Schulz steps; that unconverged value is
    the definition. Training uses the statistics of the batch and updates running ones, inference uses the running ones.

    Inputs:
        x: (N, 3, H, W).

    Returns:
        (N, 3, H, W).
    """

    features = 27  # 3 channels x 3 rows x 3 columns
    momentum = 0.1
    eps = 1e-5
    keep_float32 = True  # products of small numbers

    def __init__(self) -> None:
        super().__init__()
        self.weight = new_kernel(3, 3, 3)
        self.bias = new_bias(3, self.features)
        self.running_mean = _buffer(np.zeros(self.features), "running_mean")
        self.running_deconv = _buffer(np.eye(self.features), "running_deconv")
        self.identity = Tensor(np.eye(self.features, dtype=np.float32))
        self.conv = Convolve(3, 3, padding=1)
        self.conv.keep_float32 = True

    def construct(self, x: Tensor) -> Tensor:
        if self.training:
            mean, whiten = self.batch_statistics(x)
            self.update(mean, whiten)
        else:
            mean, whiten = self.running_mean, self.running_deconv
        flat = ops.matmul(self.weight.reshape(3, self.features), whiten)  # (3, 27)
        bias = self.bias - ops.matmul(flat, mean.reshape(self.features, 1)).reshape(3)
        weight = flat.reshape(3, 3, 3, 3).astype(x.dtype)
        return self.conv(x, weight, bias.astype(x.dtype))

    def batch_statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean (27,) and the whitening matrix (27, 27) of the batch, in float32."""
        patches = _patches(x.astype(ms.float32))  # (M, 27)
        mean = patches.mean(0)
        centred = patches - mean
        covariance = ops.matmul(centred.T, centred) / patches.shape[0] + self.eps * self.identity
        norm = ops.sqrt((covariance * covariance).sum())
        y, z = covariance / norm, self.identity
        for _ in range(5):
            t = 1.5 * self.identity - 0.5 * ops.matmul(z, y)
            y, z = ops.matmul(y, t), ops.matmul(t, z)
        return mean, z / ops.sqrt(norm)

    def update(self, mean: Tensor, whiten: Tensor) -> None:
        """Move the running statistics towards those of the batch; no gradient flows here."""
        keep = 1 - self.momentum
        ops.assign(self.running_mean, keep * self.running_mean + self.momentum * ops.stop_gradient(mean))
        ops.assign(self.running_deconv, keep * self.running_deconv + self.momentum * ops.stop_gradient(whiten))


class FeatureAttentionBlock(nn.Cell):
    """Refine features with channel attention, then pixel attention (section 3.1 of the paper).

    Args:
        channels: features in and out.

    Inputs:
        x: (N, channels, H, W).

    Returns:
        (N, channels, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv2d(channels, channels, 3, padding=1)
        self.conv2 = Conv2d(channels, channels, 3, padding=1)
        self.calayer = ChannelAttention(channels)
        self.palayer = PixelAttention(channels)

    def construct(self, x: Tensor) -> Tensor:
        y = self.conv2(ops.relu(self.conv1(x)) + x)
        return self.palayer(self.calayer(y)) + x


class ChannelAttention(nn.Cell):
    """Weigh every channel by a gate computed from its mean over the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = ChannelMean()
        self.ca = nn.SequentialCell(Conv2d(channels, channels // 8, 1), nn.ReLU(), Conv2d(channels // 8, channels, 1))

    def construct(self, x: Tensor) -> Tensor:
        return x * ops.sigmoid(self.ca(self.pool(x)))  # gate (N, C, 1, 1)


class PixelAttention(nn.Cell):
    """Weigh every pixel by a gate computed from its features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pa = nn.SequentialCell(Conv2d(channels, channels // 8, 1), nn.ReLU(), Conv2d(channels // 8, 1, 1))

    def construct(self, x: Tensor) -> Tensor:
        return x * ops.sigmoid(self.pa(x))  # gate (N, 1, H, W)


class DeformBlock(nn.Cell):
    """The shared deformable layer under its published name."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dcn = DeformConv2d(channels, channels)

    def construct(self, x: Tensor) -> Tensor:
        return self.dcn(x)


class Mixup(nn.Cell):
    """Blend an early and a late feature map with one learnt share (adaptive mixup, section 3.2 of the paper)."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.w = Parameter(Tensor(np.array([start], np.float32)), name="w")

    def construct(self, early: Tensor, late: Tensor) -> Tensor:
        share = ops.sigmoid(self.w).astype(early.dtype)
        return early * share + late * (1 - share)


class AECRNet(RestorationNetwork):
    """Remove haze with AECR-Net; six uses of one attention block and two of one deformable layer.

    Args:
        channels: features of the first stage (published: 64); the others have two and four times as many.
        blocks: uses of the shared attention block.
        deform_layers: uses of the shared deformable layer.
        init_gain: factor on the initial weights of the convolutions behind the first layer. The published start (1)
            halves the signal at every ReLU; sqrt(6) = 2.45 keeps it, which helps when training is short.

    Inputs:
        x: (N, 3, H, W) hazy RGB in [0, 1]; H and W multiples of 4.

    Returns:
        (N, 3, H, W) the dehazed image, in (-1, 1) since the last activation is tanh; clip to [0, 1] to show it.
    """

    def __init__(self, *, channels: int = 64, blocks: int = 6, deform_layers: int = 2, init_gain: float = 1.0) -> None:
        super().__init__()
        c = channels
        self.blocks, self.deform_layers = blocks, deform_layers
        self.deconv = FastDeconv()
        self.down1 = nn.SequentialCell(ReflectPad(3), Conv2d(3, c, 7), nn.ReLU())
        self.down2 = nn.SequentialCell(Conv2d(c, 2 * c, 3, stride=2, padding=1), nn.ReLU())
        self.down3 = nn.SequentialCell(Conv2d(2 * c, 4 * c, 3, stride=2, padding=1), nn.ReLU())
        self.block = FeatureAttentionBlock(4 * c)
        self.dcn_block = DeformBlock(4 * c)
        self.mix1 = Mixup(-1.0)
        self.up1 = nn.SequentialCell(UpsampleConv(4 * c, 2 * c), nn.ReLU())
        self.mix2 = Mixup(-0.6)
        self.up2 = nn.SequentialCell(UpsampleConv(2 * c, c), nn.ReLU())
        self.up3 = nn.SequentialCell(ReflectPad(3), NarrowConv2d(c, 3, 7), nn.Tanh())
        if init_gain != 1.0:
            _amplify((p for n, p in self.parameters_and_names() if not n.startswith("deconv.")), init_gain)

    def construct(self, x: Tensor) -> Tensor:
        half = self.down2(self.down1(self.deconv(x)))  # (N, 128, H/2, W/2)
        quarter = self.down3(half)  # (N, 256, H/4, W/4)
        y = quarter
        for _ in range(self.blocks):
            y = self.block(y)
        for _ in range(self.deform_layers):
            y = self.dcn_block(y)  # (N, 256, H/4, W/4)
        y = self.up1(self.mix1(quarter, y))  # (N, 128, H/2, W/2)
        y = self.up2(self.mix2(half, y))  # (N, 64, H, W)
        return self.up3(y)  # (N, 3, H, W)


def _buffer(value: np.ndarray, name: str) -> Parameter:
    return Parameter(Tensor(value.astype(np.float32)), name=name, requires_grad=False)


def _amplify(parameters: Iterable[Parameter], gain: float) -> None:
    """Multiply the kernels among the parameters by a factor."""
    for parameter in parameters:
        if parameter.ndim == 4:
            parameter.set_data(parameter * gain)


def _patches(x: Tensor) -> Tensor:
    """Cut the zero-padded image into 3x3 patches without overlap: (N, 3, H, W) -> (M, 27), channel first.

    Equals an unfold with kernel 3, padding 1 and stride 3.
    """
    n, c, h, w = x.shape
    rows, cols = (h - 1) // 3 + 1, (w - 1) // 3 + 1
    x = ops.concat((ops.zeros_like(x[:, :, :1]), x, ops.zeros_like(x[:, :, :1])), 2)[:, :, : 3 * rows]
    x = ops.concat((ops.zeros_like(x[:, :, :, :1]), x, ops.zeros_like(x[:, :, :, :1])), 3)[:, :, :, : 3 * cols]
    x = x.reshape(n * c, rows, 3, cols, 3)
    x = ops.transpose(x, (0, 1, 3, 2, 4)).reshape(n, c, rows * cols, 9)
    return ops.transpose(x, (0, 2, 1, 3)).reshape(n * rows * cols, 9 * c)
