"""Leaky ReLUs, fixed and learnt, whose gradients are fast on CPU."""

from __future__ import annotations

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops
from mindspore.ops import auto_generate

from mindrestore.models.layers.form import Layer, chosen, like


class LeakyReLU(Layer):
    """Multiply negative values by a slope; on CPU the gradient of MindSpore's own operator is ten times slower.

    Args:
        slope: factor of negative values.

    Inputs:
        x: (N, C, H, W).

    Returns:
        (N, C, H, W): x where it is positive, slope * x elsewhere.
    """

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope
        self.slopes = Tensor([slope], ms.float32)
        self.through_aclnn = auto_generate.LeakyReLUExt()
        self.prelu = ops.PReLU()

    def construct(self, x: Tensor) -> Tensor:
        form = chosen(self.form)
        if form == "ascend":
            return self.through_aclnn(x, self.slope)
        if form != "cpu":
            return self.prelu(x, like(self.slopes, x))
        return _leaky(x, self.slope)


class ScalarPReLU(Layer):
    """Leaky ReLU whose slope is one learnt number, often shared by many layers.

    Args:
        start: initial slope.

    Inputs:
        x: (N, C, H, W).

    Returns:
        (N, C, H, W): x where it is positive, slope * x elsewhere.
    """

    def __init__(self, start: float) -> None:
        super().__init__()
        self.weight = Parameter(Tensor([start], ms.float32), name="weight")
        self.quick = _Leaky()
        self.prelu = ops.PReLU()

    def construct(self, x: Tensor) -> Tensor:
        slope = like(self.weight, x)
        return self.quick(x, slope) if chosen(self.form) == "cpu" else self.prelu(x, slope)


def _leaky(x: Tensor, slope: Tensor | float) -> Tensor:
    positive = ops.relu(x)  # the operator for all of it takes three times as long on CPU
    return positive + slope * (x - positive)


class _Leaky(nn.Cell):
    """PReLU with one slope and a gradient of few whole-map operations."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.gradient = ops.GradOperation(sens_param=True)

    def construct(self, x: Tensor, slope: Tensor) -> Tensor:
        return _leaky(x, slope)

    def bprop(self, x: Tensor, slope: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ops.depend(like(x, dout), dout), like(slope, dout)  # else the mask is made, and kept, at once
        positive = self.gradient(self.relu)(x, dout)  # one operator for mask and product
        negative = dout - positive
        n, c, h, w = x.shape  # summed map by map: four times as fast as all at once
        products = (negative * x).reshape(n * c, h * w).astype(ms.float32)
        return positive + slope * negative, products.sum(1).sum().reshape(1)
