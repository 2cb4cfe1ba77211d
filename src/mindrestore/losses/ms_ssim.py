"""Structural similarity over five scales as a loss, in the form that adversarial dehazing networks are trained with.

It is not the textbook's: the similarity of the coarsest scale stands inside the product over the other four, so that
its exponent is four times as large, and every factor is moved from [-1, 1] to [0, 1]. `evaluation.metrics` has the
textbook's, for scores.
"""

from __future__ import annotations

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from mindrestore.models.layers import AveragePool2x2, mean, split

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, the finest first
SMALLEST_SIDE = 2 ** (len(WEIGHTS) - 1)  # pixels: four halvings leave one
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2  # for values in [0, 1]


class MSSSIMLoss(nn.Cell):
    """One minus the similarity of structures over five scales: 0 for equal images.

    The published loss is minus the similarity; the gradient is the same.

    Inputs:
        output, batch_input, target: (N, C, H, W) about [0, 1], H and W at least 16; `batch_input` is not used.

    Returns:
        0-d float32 tensor in [0, 1].

    Raises:
        ValueError: the images are smaller than 16 pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.similarity = MSSSIM()

    def construct(self, output: Tensor, batch_input: Tensor, target: Tensor) -> Tensor:
        return 1.0 - self.similarity(output, target)


class MSSSIM(nn.Cell):
    """Provide prod over scales 1 to 4 of cs_i^w_i * ssim_5^w_5, computed in float32.

    ssim and cs of a scale are means over images, channels and all places of an 11x11 Gaussian window (sigma 1.5; at
    most the image's side) that lie inside the image; a 2x2 mean leads from one scale to the next.

    Args:
        normalise: move every ssim and cs to (value + 1) / 2, as in training; without it negative ones give NaN.

    Inputs:
        output, target: (N, C, H, W) about [0, 1], H and W at least 16.

    Returns:
        0-d float32 tensor, 1 for equal images.

    Raises:
        ValueError: the images are smaller than 16 pixels.
    """

    def __init__(self, normalise: bool = True) -> None:
        super().__init__()
        self.normalise = normalise
        self.pool = AveragePool2x2()

    def construct(self, output: Tensor, target: Tensor) -> Tensor:
        h, w = output.shape[2:]
        if h < SMALLEST_SIDE or w < SMALLEST_SIDE:
            raise ValueError(
                f"images of {h}x{w} pixels are too small for the five scales of loss term ms_ssim: use patches of at "
                f"least {SMALLEST_SIDE}x{SMALLEST_SIDE}, or switch the term off with loss.terms.ms_ssim.weight=0"
            )
        output, target = ops.cast(output, mstype.float32), ops.cast(target, mstype.float32)
        product = ops.ones((), mstype.float32)
        last = len(WEIGHTS) - 1
        for i in range(last):
            _, contrast = similarity(output, target)
            product = product * self.positive(contrast) ** WEIGHTS[i]
            output, target = self.pool(output), self.pool(target)
        coarsest, _ = similarity(output, target)
        return product * self.positive(coarsest) ** (last * WEIGHTS[last])

    def positive(self, value: Tensor) -> Tensor:
        return (value + 1.0) / 2.0 if self.normalise else value


def similarity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return SSIM of one scale, and its part for contrast and structure, averaged over everything.

    Window sums are products with two small matrices; a convolution with one channel is far slower on CPU.

    Args:
        x, y: (N, C, H, W) float32 about [0, 1].

    Returns:
        Two 0-d float32 tensors: ssim and cs.
    """
    n, c, h, w = x.shape
    x = ops.transpose(x.reshape(n * c, h, w), (1, 0, 2))  # (H, N C, W): one product for all channels
    y = ops.transpose(y.reshape(n * c, h, w), (1, 0, 2))
    maps = ops.concat((x, y, x * x, y * y, x * y), 1)  # (H, 5 N C, W)
    down, across = _window_sums(h), _window_sums(w)  # (h, H), (w, W)
    sums = ops.matmul(down, maps.reshape(h, 5 * n * c * w)).reshape(-1, w)
    sums = ops.matmul(sums, ops.transpose(across, (1, 0))).reshape(down.shape[0], 5 * n * c, across.shape[0])
    mean_x, mean_y, xx, yy, xy = split(sums, sums.shape[1] // 5, 1)
    contrast = (2.0 * (xy - mean_x * mean_y) + _C2) / (xx - mean_x * mean_x + yy - mean_y * mean_y + _C2)
    luminance = (2.0 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
    return mean(contrast * luminance), mean(contrast)


def window_matrix(size: int) -> np.ndarray:
    """Write the sums of a Gaussian window at all its places inside a line of pixels as a matrix.

    Args:
        size: pixels of the line; below 11 the window is as wide.

    Returns:
        (places, size) float64; every row adds up to 1.
    """
    width = min(_WINDOW, size)
    taps = np.exp(-((np.arange(width) - width // 2) ** 2) / (2 * _SIGMA**2))
    matrix = np.zeros((size - width + 1, size))
    for place, row in enumerate(matrix):
        row[place : place + width] = taps / taps.sum()
    return matrix


@ops.constexpr
def _window_sums(size: int) -> Tensor:
    """Return the matrix as a constant of the compiled graph."""
    return Tensor(window_matrix(size).astype(np.float32))
