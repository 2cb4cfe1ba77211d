"""Initial weights."""

from __future__ import annotations

import math

from mindspore import Parameter, nn
from mindspore.common.initializer import HeUniform, Normal, Uniform, initializer


def he_uniform() -> HeUniform:
    """Return PyTorch's default rule: uniform in +-1/sqrt(fan_in)."""
    return HeUniform(negative_slope=math.sqrt(5))


def new_kernel(out_channels: int, in_channels: int, side: int) -> Parameter:
    """Return a parameter `weight` (out_channels, in_channels, side, side), initialised as PyTorch does."""
    return Parameter(initializer(he_uniform(), (out_channels, in_channels, side, side)), name="weight")


def new_bias(channels: int, fan_in: int) -> Parameter:
    """Return a parameter `bias` (channels,), uniform in +-1/sqrt(fan_in) as PyTorch's."""
    return Parameter(initializer(Uniform(1 / math.sqrt(fan_in)), (channels,)), name="bias")


def fill_normal(net: nn.Cell, deviation: float) -> None:
    """Draw every kernel of a network anew from a normal distribution around zero.

    Args:
        net: network; its 4-D parameters are overwritten.
        deviation: standard deviation.
    """
    for parameter in net.trainable_params():
        if parameter.ndim == 4:
            parameter.set_data(initializer(Normal(deviation), parameter.shape, parameter.dtype))
