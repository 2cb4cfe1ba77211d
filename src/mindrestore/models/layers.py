"""Every convolution, pooling and normalisation of the networks, with all arguments spelled out.

MindSpore's defaults differ from PyTorch's and are announced to change, so no network calls `nn.Conv2d` itself.
Two forms here depend on the device: `on_cpu` and `NarrowConv2d`.
"""

from __future__ import annotations

import math

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import HeUniform, Normal, Uniform, initializer


def on_cpu() -> bool:
    """Return whether MindSpore computes on the CPU."""
    return ms.get_context("device_target") == "CPU"


def conv(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int = 0, bias: bool = True
) -> nn.Conv2d:
    """Make a convolution with zero padding, initialised as PyTorch does (uniform in +-1/sqrt(fan_in)).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the square kernel (pixels).
        stride: step between output positions (pixels).
        padding: rows and columns of zeros on each side (pixels).
        bias: add a learnt constant per output channel.

    Returns:
        The layer; parameters `weight` (out, in, kernel, kernel) and `bias` (out).
    """
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size=kernel,
        stride=stride,
        pad_mode="pad",
        padding=padding,
        dilation=1,
        group=1,
        has_bias=bias,
        weight_init=_he_uniform(),
        bias_init=Uniform(1 / math.sqrt(in_channels * kernel * kernel)),
        data_format="NCHW",
    )


def linear(in_features: int, out_features: int) -> nn.Dense:
    """Make a fully connected layer, initialised as PyTorch does (uniform in +-1/sqrt(fan_in)).

    Args:
        in_features: values per row of the input.
        out_features: values per row of the output.

    Returns:
        The layer; parameters `weight` (out, in) and `bias` (out).
    """
    bound = Uniform(1 / math.sqrt(in_features))
    return nn.Dense(in_features, out_features, weight_init=_he_uniform(), bias_init=bound, has_bias=True)


def upsample_conv(in_channels: int, out_channels: int) -> nn.Conv2dTranspose:
    """Make a transposed 3x3 convolution that doubles height and width exactly.

    Equals PyTorch's `ConvTranspose2d(kernel 3, stride 2, padding 1, output_padding 1)`. MindSpore's own
    `output_padding` appends zeros instead of the computed last row and column; one-sided padding computes them.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.

    Returns:
        The layer; parameters `weight` (in, out, 3, 3) and `bias` (out).
    """
    return nn.Conv2dTranspose(
        in_channels,
        out_channels,
        kernel_size=3,
        stride=2,
        pad_mode="pad",
        padding=(1, 0, 1, 0),
        output_padding=0,
        dilation=1,
        group=1,
        has_bias=True,
        weight_init=Uniform(1 / math.sqrt(out_channels * 9)),
        bias_init=Uniform(1 / math.sqrt(out_channels * 9)),
    )


def max_pool_2x2() -> nn.MaxPool2d:
    """Make the 2x2 maximum with stride 2; an odd last row or column is left out."""
    return nn.MaxPool2d(kernel_size=2, stride=2, pad_mode="valid", data_format="NCHW")


def average_pool_2x2() -> nn.AvgPool2d:
    """Make the 2x2 mean with stride 2; an odd last row or column is left out."""
    return nn.AvgPool2d(kernel_size=2, stride=2, pad_mode="valid", data_format="NCHW")


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Make a batch normalisation as PyTorch's, which writes the momentum 0.9 of the running statistics as 0.1.

    Args:
        channels: channels of the input.

    Returns:
        The layer; parameters `gamma` and `beta` (channels), buffers `moving_mean` and `moving_variance` (channels).
    """
    return nn.BatchNorm2d(
        channels,
        eps=1e-5,
        momentum=0.9,
        affine=True,
        gamma_init="ones",
        beta_init="zeros",
        moving_mean_init="zeros",
        moving_var_init="ones",
        use_batch_statistics=None,
        data_format="NCHW",
    )


class NarrowConv2d(nn.Cell):
    """Convolve without padding to very few output channels, such as the last layer of a network.

    On CPU a 7x7 convolution to 3 channels is the slowest layer of a small network, since the lowered input is
    49 times as large as the input. There it is computed as one 1x1 convolution to 49 * 3 channels and shifted sums;
    with rows joined end to end, a shift by (ky, kx) is one offset into memory. Same numbers, several times faster.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the square kernel (pixels).

    Inputs:
        x: (N, in_channels, H, W).

    Returns:
        (N, out_channels, H - kernel + 1, W - kernel + 1).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_channels * kernel * kernel)
        self.weight = Parameter(initializer(_he_uniform(), (out_channels, in_channels, kernel, kernel)), name="weight")
        self.bias = Parameter(initializer(Uniform(bound), (out_channels,)), name="bias")
        self.kernel = kernel
        self.shifted = on_cpu()
        self.direct = ops.Conv2D(out_channels, kernel, mode=1, pad_mode="valid", pad=0, stride=1, dilation=1, group=1)
        self.project = ops.Conv2D(
            out_channels * kernel**2, 1, mode=1, pad_mode="valid", pad=0, stride=1, dilation=1, group=1
        )

    def construct(self, x: Tensor) -> Tensor:
        weight = like(self.weight, x)
        y = self.shifted_sum(x, weight) if self.shifted else self.direct(x, weight)
        return y + like(self.bias, x).reshape(1, -1, 1, 1)

    def shifted_sum(self, x: Tensor, weight: Tensor) -> Tensor:
        k, (o, c) = self.kernel, weight.shape[:2]
        n, _, h, w = x.shape
        taps = ops.transpose(weight, (3, 2, 0, 1)).reshape(k * k * o, c, 1, 1)  # ordered by (kx, ky, out)
        z = self.project(x, taps).reshape(n, k * k * o, h * w)
        length = h * w - k + 1
        parts = ops.split(z, k * o, 1)
        columns = parts[0][:, :, :length]
        for kx in range(1, k):
            columns = columns + parts[kx][:, :, kx : kx + length]  # (N, ky * out, length)
        length -= (k - 1) * w
        parts = ops.split(columns, o, 1)
        y = parts[0][:, :, :length]
        for ky in range(1, k):
            y = y + parts[ky][:, :, ky * w : ky * w + length]  # (N, out, length)
        rest = ops.zeros((n, o, k - 1), y.dtype)  # the last row ends k - 1 pixels early
        return ops.concat((y, rest), 2).reshape(n, o, h - k + 1, w)[:, :, :, : w - k + 1]


def like(x: Tensor, other: Tensor) -> Tensor:
    """Return x in the type of another tensor.

    Cells with a backward pass of their own need it in mixed precision: there a weight that the framework casts on the
    way in gets its gradient in half precision.
    """
    return x if x.dtype == other.dtype else x.astype(other.dtype)


def channel_mean(x: Tensor) -> Tensor:
    """Average every channel over the image.

    Line by line, as rows of a matrix: on CPU seven times faster than over the last axes of three or four, and rounded
    less than whole maps as rows. Summed in float32.

    Args:
        x: (N, C, H, W).

    Returns:
        (N, C, 1, 1).
    """
    n, c, h, w = x.shape
    lines = x.reshape(n * c * h, w).astype(ms.float32).sum(1) / w  # the gradient of a mean divides the whole image
    return (lines.reshape(n * c, h).sum(1) / h).reshape(n, c, 1, 1).astype(x.dtype)


class ChannelMean(nn.Cell):
    """Average every channel over the image.

    Inputs:
        x: (N, C, H, W).

    Returns:
        (N, C, 1, 1).
    """

    def construct(self, x: Tensor) -> Tensor:
        return channel_mean(x)


class ChannelScale(nn.Cell):
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
        self.direct = not on_cpu()

    def construct(self, x: Tensor, gate: Tensor) -> Tensor:
        return x * gate if self.direct else _scaled(x, gate)

    def bprop(self, x: Tensor, gate: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
        n, c, h, w = x.shape
        x, gate = like(x, dout), like(gate, dout)
        lines = (dout * x).reshape(n * c * h, w).astype(ms.float32).sum(1)
        dgate = lines.reshape(n * c, h).sum(1).reshape(n, c, 1, 1).astype(x.dtype)
        return (dout * gate if self.direct else _scaled(dout, gate)), dgate


def _scaled(x: Tensor, gate: Tensor) -> Tensor:
    n, c, h, w = x.shape
    product = ops.Conv2D(n * c, 1, mode=1, pad_mode="valid", pad=0, stride=1, dilation=1, group=n * c)
    gate = gate.reshape(n * c, 1, 1, 1)
    return product(x, gate) if n == 1 else product(x.reshape(1, n * c, h, w), gate).reshape(n, c, h, w)


def fill_normal(net: nn.Cell, deviation: float) -> None:
    """Draw every kernel of a network anew from a normal distribution around zero.

    Args:
        net: network; its 4-D parameters are overwritten.
        deviation: standard deviation.
    """
    for parameter in net.trainable_params():
        if parameter.ndim == 4:
            parameter.set_data(initializer(Normal(deviation), parameter.shape, parameter.dtype))


def _he_uniform() -> HeUniform:
    """Return PyTorch's default rule: uniform in +-1/sqrt(fan_in)."""
    return HeUniform(negative_slope=math.sqrt(5))
