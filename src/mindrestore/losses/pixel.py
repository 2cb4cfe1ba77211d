"""Losses that compare two images pixel by pixel, in float32."""

from __future__ import annotations

from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from mindrestore.errors import MindRestoreError
from mindrestore.models.layers import mean


class L1Loss(nn.Cell):
    """Mean absolute difference.

    Inputs:
        output, batch_input, target: (N, C, H, W); `batch_input` is not used.

    Returns:
        0-d float32 tensor.
    """

    def construct(self, output: Tensor, batch_input: Tensor, target: Tensor) -> Tensor:
        return mean(ops.abs(difference(output, target)))


class MSELoss(nn.Cell):
    """Mean squared difference.

    Inputs:
        output, batch_input, target: (N, C, H, W); `batch_input` is not used.

    Returns:
        0-d float32 tensor.
    """

    def construct(self, output: Tensor, batch_input: Tensor, target: Tensor) -> Tensor:
        return mean(ops.square(difference(output, target)))


class SmoothL1Loss(nn.Cell):
    """Mean of d^2 / 2 where the difference d is below 1, and |d| - 1/2 elsewhere.

    Inputs:
        output, batch_input, target: (N, C, H, W); `batch_input` is not used.

    Returns:
        0-d float32 tensor.
    """

    def construct(self, output: Tensor, batch_input: Tensor, target: Tensor) -> Tensor:
        distance = ops.abs(difference(output, target))
        near = ops.clip_by_value(distance, 0.0, 1.0)
        return mean(near * (distance - 0.5 * near))


class CharbonnierLoss(nn.Cell):
    """Mean or sum of sqrt(difference^2 + eps^2): quadratic near zero, linear far away.

    Args:
        eps: width of the quadratic part, > 0.
        clamp: True limits the output to [0, 1] first; pixels beyond then get no gradient.
        reduction: `mean`, or `sum` over all pixels and images.

    Inputs:
        output, batch_input, target: (N, C, H, W); `batch_input` is not used.

    Returns:
        0-d float32 tensor.

    Raises:
        MindRestoreError: unknown reduction.
    """

    def __init__(self, eps: float = 1e-3, clamp: bool = False, reduction: str = "mean") -> None:
        super().__init__()
        self.clamp = clamp
        self.distance = Charbonnier(eps, reduction)

    def construct(self, output: Tensor, batch_input: Tensor, target: Tensor) -> Tensor:
        if self.clamp:
            output = ops.clip_by_value(output, 0.0, 1.0)
        return self.distance(difference(output, target))


class Charbonnier(nn.Cell):
    """Charbonnier distance of a difference.

    Args:
        eps: width of the quadratic part, > 0.
        reduction: `mean` or `sum` over all elements.

    Inputs:
        x: float32 tensor of any shape.

    Returns:
        0-d float32 tensor.

    Raises:
        MindRestoreError: unknown reduction.
    """

    def __init__(self, eps: float = 1e-3, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in ("mean", "sum"):
            raise MindRestoreError(f"reduction {reduction!r} is not one of mean, sum")
        self.eps_squared, self.mean = eps * eps, reduction == "mean"

    def construct(self, x: Tensor) -> Tensor:
        roots = ops.sqrt(ops.square(x) + self.eps_squared)
        return mean(roots) if self.mean else roots.sum()


def difference(output: Tensor, target: Tensor) -> Tensor:
    """Subtract in float32, whatever precision the network computes in."""
    return ops.cast(output, mstype.float32) - ops.cast(target, mstype.float32)
