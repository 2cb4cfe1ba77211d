"""Losses that compare two images pixel by pixel, in float32."""

from __future__ import annotations

from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype


class L1Loss(nn.Cell):
    """Mean absolute difference.

    Inputs:
        output, batch_input, target: (N, C, H, W); `batch_input` is not used.

    Returns:
        0-d float32 tensor.

    Example:
        >>> float(L1Loss()(Tensor([[[[0.5]]]]), None, Tensor([[[[0.0]]]])))
        0.5
    """

    def construct(self, output: Tensor, batch_input: Tensor, target: Tensor) -> Tensor:
        return ops.abs(_difference(output, target)).mean()


class MSELoss(nn.Cell):
    """Mean squared difference.

    Inputs:
        output, batch_input, target: (N, C, H, W); `batch_input` is not used.

    Returns:
        0-d float32 tensor.

    Example:
        >>> float(MSELoss()(Tensor([[[[0.5]]]]), None, Tensor([[[[0.0]]]])))
        0.25
    """

    def construct(self, output: Tensor, batch_input: Tensor, target: Tensor) -> Tensor:
        return ops.square(_difference(output, target)).mean()


class CharbonnierLoss(nn.Cell):
    """Mean of sqrt(difference^2 + eps^2): quadratic near zero, linear far away.

    Args:
        eps: width of the quadratic part, > 0.

    Inputs:
        output, batch_input, target: (N, C, H, W); `batch_input` is not used.

    Returns:
        0-d float32 tensor.

    Example:
        >>> round(float(CharbonnierLoss(3.0)(Tensor([[[[4.0]]]]), None, Tensor([[[[0.0]]]]))), 4)
        5.0
    """

    def __init__(self, eps: float = 1e-3) -> None:
        super().__init__()
        self.eps_squared = eps * eps

    def construct(self, output: Tensor, batch_input: Tensor, target: Tensor) -> Tensor:
        return ops.sqrt(ops.square(_difference(output, target)) + self.eps_squared).mean()


def _difference(output: Tensor, target: Tensor) -> Tensor:
    return ops.cast(output, mstype.float32) - ops.cast(target, mstype.float32)
