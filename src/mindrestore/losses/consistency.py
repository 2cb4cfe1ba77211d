"""The self-supervised term of CrossDehaze: a crop of the output shall equal its own blurred copy.

Shi et al., "Scaling Up Single Image Dehazing Algorithm by Cross-Data Vision Alignment", IEEE TIM 2025.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindrestore.errors import MindRestoreError
from mindrestore.losses.batch_context import BatchContext
from mindrestore.models.layers import mean

BLUR_ROWS, BLUR_COLUMNS = 21, 9  # taps down and across; the published kernel is taller than wide


class ConsistencyLoss(nn.Cell):
    """Mean squared difference of a square crop of the output (weak view) and a Gaussian blur of it (strong view).

    Gradients flow through both views. The weight falls by a half cosine over the epochs, (1 + cos(pi e / horizon)) / 2
    from epoch e = 0, and stays 0 afterwards.

    Args:
        size: side of the crop in pixels, at least 11, so that its mirrored border suffices for the blur.
        crop: "centre", or "random" for another place in every batch.
        sigma: least and greatest standard deviation of the blur in pixels; each batch draws one.
        horizon: epoch (from 0) at which the weight reaches 0; None is the last one.

    Inputs:
        output: (N, 3, H, W).
        batch_input, target: not used.
        rows, columns: (size,) int32, where the crop lies.
        down, across: (size, size) float32, the blur as matrices, rows from the left and columns from the right.

    Returns:
        0-d float32 tensor.
    """

    term_input_count = 5  # the factor of the weight, and what `construct` takes beyond the images

    def __init__(
        self, size: int = 16, crop: str = "centre", sigma: Sequence[float] = (0.1, 5.0), horizon: int | None = None
    ) -> None:
        super().__init__()
        if len(sigma) != 2 or not 0 < sigma[0] <= sigma[1]:
            raise MindRestoreError(
                f"loss.terms.consistency.sigma {list(sigma)}: use the least and the greatest blur, such as [0.1, 5.0]"
            )
        self.size, self.crop, self.sigma, self.horizon = size, crop, (float(sigma[0]), float(sigma[1])), horizon

    def term_inputs(self, context: BatchContext) -> tuple[np.ndarray, ...]:
        """Return the factor of the weight, the place of the crop and the blur for one batch.

        Raises:
            MindRestoreError: the images are smaller than the crop.
        """
        sides = (context.height, context.width)
        if min(sides) < self.size:
            raise MindRestoreError(
                f"images of {sides[1]}x{sides[0]} pixels are smaller than the crop of the loss term consistency: use "
                f"data.patch_size={self.size} or more, or a smaller loss.terms.consistency.size"
            )
        sigma = context.rng.uniform(*self.sigma)
        if self.crop == "random":
            starts = [int(context.rng.integers(side - self.size + 1)) for side in sides]
        else:
            starts = [round((side - self.size) / 2) for side in sides]  # halves go to the even number, as published
        rows, columns = (np.arange(start, start + self.size, dtype=np.int32) for start in starts)
        down, across = (blur_matrix(self.size, taps, sigma) for taps in (BLUR_ROWS, BLUR_COLUMNS))
        return np.float32(self.factor(context)), rows, columns, down, np.ascontiguousarray(across.T)

    def factor(self, context: BatchContext) -> float:
        """Return the factor of the weight in an epoch, from 1 down to 0."""
        horizon = self.horizon or max(context.epochs - 1, 1)
        return 0.5 * (1.0 + math.cos(math.pi * min(context.epoch / horizon, 1.0)))

    def construct(
        self,
        output: Tensor,
        batch_input: Tensor,
        target: Tensor,
        rows: Tensor,
        columns: Tensor,
        down: Tensor,
        across: Tensor,
    ) -> Tensor:
        weak = ops.gather(ops.gather(output, rows, 2), columns, 3).astype(ms.float32)  # (N, 3, size, size)
        strong = ops.matmul(ops.matmul(down, weak), across)
        return mean(ops.square(weak - strong))


def blur_matrix(length: int, taps: int, sigma: float) -> np.ndarray:
    """Write a Gaussian blur of a row of pixels with mirrored ends as a matrix.

    Args:
        length: pixels, more than half the taps.
        taps: width of the kernel, odd.
        sigma: standard deviation in pixels, > 0.

    Returns:
        (length, length) float32; each row sums to 1.
    """
    steps = np.arange(taps) - taps // 2
    kernel = np.exp(-(steps**2) / (2.0 * sigma**2))
    places = np.abs(np.arange(length)[:, None] + steps)
    places = length - 1 - np.abs(length - 1 - places)
    matrix = np.zeros((length, length))
    np.add.at(matrix, (np.arange(length)[:, None], places), kernel / kernel.sum())
    return matrix.astype(np.float32)
