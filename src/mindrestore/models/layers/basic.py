"""Layers that MindSpore has itself, with all arguments spelled out.

MindSpore's defaults differ from PyTorch's and are announced to change, so no network calls `nn.MaxPool2d` itself.
"""

from __future__ import annotations

import math

import mindspore as ms
from mindspore import Tensor, mint, nn
from mindspore.common.initializer import Uniform
from mindspore.ops import auto_generate

from mindrestore.models.layers.form import Layer, chosen, like
from mindrestore.models.layers.initial import he_uniform


def linear(in_features: int, out_features: int) -> nn.Dense:
    """Make a fully connected layer, initialised as PyTorch does (uniform in +-1/sqrt(fan_in)).

    Args:
        in_features: values per row of the input.
        out_features: values per row of the output.

    Returns:
        The layer; parameters `weight` (out, in) and `bias` (out).
    """
    bound = Uniform(1 / math.sqrt(in_features))
    return nn.Dense(in_features, out_features, weight_init=he_uniform(), bias_init=bound, has_bias=True)


class UpsampleConv(nn.Conv2dTranspose, Layer):
    """Double height and width exactly, by a transposed 3x3 convolution.

    Equals PyTorch's `ConvTranspose2d(kernel 3, stride 2, padding 1, output_padding 1)`. MindSpore's own
    `output_padding` appends zeros instead of the computed last row and column; one-sided padding computes them.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.

    Inputs:
        x: (N, in_channels, H, W).

    Returns:
        (N, out_channels, 2H, 2W); parameters `weight` (in, out, 3, 3) and `bias` (out).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
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
        self.through_aclnn = auto_generate.Convolution()

    def construct(self, x: Tensor) -> Tensor:
        if chosen(self.form) == "ascend":
            weight, bias = like(self.weight, x), like(self.bias, x)
            return self.through_aclnn(x, weight, bias, (2, 2), (1, 1), (1, 1), True, (1, 1), 1)
        return super().construct(x)


class MaxPool2x2(Layer):
    """Take the 2x2 maximum with stride 2; an odd last row or column is left out.

    Inputs:
        x: (N, C, H, W).

    Returns:
        (N, C, H/2, W/2).
    """

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(kernel_size=2, stride=2, pad_mode="valid", data_format="NCHW")

    def construct(self, x: Tensor) -> Tensor:
        if chosen(self.form) != "ascend":
            return self.pool(x)
        if x.dtype == ms.bfloat16:  # MindSpore refuses it; float32 has the same maxima
            return mint.nn.functional.max_pool2d(x.astype(ms.float32), 2, 2).astype(ms.bfloat16)
        return mint.nn.functional.max_pool2d(x, 2, 2)


class AveragePool2x2(Layer):
    """Take the 2x2 mean with stride 2; an odd last row or column is left out.

    Inputs:
        x: (N, C, H, W).

    Returns:
        (N, C, H/2, W/2).
    """

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2, pad_mode="valid", data_format="NCHW")

    def construct(self, x: Tensor) -> Tensor:
        return mint.nn.functional.avg_pool2d(x, 2, 2) if chosen(self.form) == "ascend" else self.pool(x)


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
