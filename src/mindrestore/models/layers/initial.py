"""Initial weights."""

from __future__ import annotations

import math

from mindspore import nn
from mindspore.common.initializer import HeUniform, Normal, initializer


def he_uniform() -> HeUniform:
    """Return PyTorch's default rule: uniform in +-1/sqrt(fan_in)."""
    return HeUniform(negative_slope=math.sqrt(5))


def fill_normal(net: nn.Cell, deviation: float) -> None:
    """Draw every kernel of a network anew from a normal distribution around zero.

    Args:
        net: network; its 4-D parameters are overwritten.
        deviation: standard deviation.
    """
    for parameter in net.trainable_params():
        if parameter.ndim == 4:
            parameter.set_data(initializer(Normal(deviation), parameter.shape, parameter.dtype))
