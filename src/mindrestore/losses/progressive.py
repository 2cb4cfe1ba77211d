"""Losses of DSRIR, which gives an image and an uncertainty map per stage: PSNR, uncertainty, positive contrast.

All of them take the raw output ((image, image, ...), (map, map, ...)), the final stage first, and compute in float32.
"""

from __future__ import annotations

import math

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindrestore.losses.contrastive import EPS, TAP_WEIGHTS, load_features
from mindrestore.models.layers import mean, split
from mindrestore.models.vgg import VGGFeatures
from mindrestore.recipes.terms import POCL_SIDE

Output = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]

PSNR_STAGES = (1.0, 0.25, 0.25)  # final stage first
POCL_FACTORS = (1.0, 0.25, 0.125)  # of the distances to the clean image, the second stage and the first

_NO_MAPS = (
    "the loss terms psnr, uncertainty and pocl need three images and three uncertainty maps, as dsrir returns them; "
    "take l1, mse or charbonnier for others"
)


class PSNRLoss(nn.Cell):
    """Minus the PSNR of every stage: 10 / ln(10) * mean over the batch of ln(mse + 1e-8), images in [0, 1] unclipped.

    The final stage counts fully, the others a quarter each.

    Inputs:
        output: images and uncertainty maps, each a tuple of (N, 3, H, W) with the final stage first.
        batch_input: not used.
        target: (N, 3, H, W) clean images in [0, 1].

    Returns:
        0-d float32 tensor in dB, at least -80 * 1.5.
    """

    raw_output = True

    def construct(self, output: Output, batch_input: Tensor, target: Tensor) -> Tensor:
        images, _ = _images_and_maps(output)
        total = ops.zeros((), ms.float32)
        for i in range(len(PSNR_STAGES)):
            total = total + PSNR_STAGES[i] * minus_psnr(images[i], target)
        return total


class UncertaintyLoss(nn.Cell):
    """Distance in units of the predicted uncertainty, plus its price: mean|(image - target) exp(-u)| + 2 mean(u).

    Averaged over the stages. Both the image and the map receive gradients. There is no lower bound.

    Inputs:
        output: images and uncertainty maps u, each a tuple of (N, 3, H, W) with the final stage first.
        batch_input: not used.
        target: (N, 3, H, W) clean images in [0, 1].

    Returns:
        0-d float32 tensor.
    """

    raw_output = True

    def construct(self, output: Output, batch_input: Tensor, target: Tensor) -> Tensor:
        images, maps = _images_and_maps(output)
        total = ops.zeros((), ms.float32)
        for i in range(len(images)):
            total = total + uncertainty(images[i], maps[i], target)
        return total / len(images)


class PositiveContrastiveLoss(nn.Cell):
    """Pull the final image to the clean one and to the earlier stages, away from the input, in five VGG feature maps.

    Sum over taps i of w_i * (d_i(final, clean) + d_i(final, second) / 4 + d_i(final, first) / 8) / (d_i(final, input)
    + 1e-7), with d_i the mean absolute difference of the features and w = 1/32, 1/16, 1/8, 1/4, 1. Images go into VGG
    as they are, without ImageNet's mean and spread. Gradients reach the images of all stages.

    Args:
        vgg: feature extractor with the taps of `losses.contrastive`; it is frozen here.

    Inputs:
        output: images and uncertainty maps, each a tuple of (N, 3, H, W) with the final stage first.
        batch_input: (N, 3, H, W) degraded images in [0, 1].
        target: (N, 3, H, W) clean images in [0, 1]; H and W at least 16.

    Returns:
        0-d float32 tensor.

    Raises:
        ValueError: the images are smaller than 16 pixels.
    """

    raw_output = True

    def __init__(self, vgg: VGGFeatures) -> None:
        super().__init__()
        self.vgg = vgg
        for parameter in vgg.get_parameters():
            parameter.requires_grad = False

    def construct(self, output: Output, batch_input: Tensor, target: Tensor) -> Tensor:
        total = ops.zeros((), ms.float32)
        distances = self.distances(output, batch_input, target)
        for i in range(len(TAP_WEIGHTS)):
            near = ops.zeros((), ms.float32)
            for k in range(len(POCL_FACTORS)):
                near = near + POCL_FACTORS[k] * distances[i][k]
            total = total + TAP_WEIGHTS[i] * near / (distances[i][-1] + EPS)
        return total

    def distances(self, output: Output, batch_input: Tensor, target: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        """Return, tap by tap, the distances of the final image to the clean one, the earlier stages and the input."""
        images, _ = _images_and_maps(output)
        n, _, h, w = target.shape
        if h < POCL_SIDE or w < POCL_SIDE:
            raise ValueError(
                f"images of {h}x{w} pixels are too small for the VGG features of loss term pocl: use patches of at "
                f"least {POCL_SIDE}x{POCL_SIDE}, or switch the term off with loss.terms.pocl.weight=0"
            )
        moving = self.vgg(ops.concat(images, 0).astype(ms.float32))  # one pass for all stages
        fixed = self.vgg(ops.concat((target, batch_input), 0).astype(ms.float32))  # one pass for both; no gradient
        found = ()
        for i in range(len(TAP_WEIGHTS)):
            clean, degraded = split(ops.stop_gradient(fixed[i]), n, 0)
            parts = split(moving[i], n, 0)
            anchor = parts[0]
            row = (mean(ops.abs(anchor - clean)),)
            for s in range(1, len(parts)):
                row = (*row, mean(ops.abs(anchor - parts[s])))
            found = (*found, (*row, mean(ops.abs(anchor - degraded))))
        return found


def minus_psnr(image: Tensor, target: Tensor) -> Tensor:
    """Return 10 / ln(10) * mean over the batch of ln(mse + 1e-8), in dB.

    Args:
        image, target: (N, C, H, W) in [0, 1].

    Returns:
        0-d float32 tensor.
    """
    difference = image.astype(ms.float32) - target.astype(ms.float32)
    n, c, h, w = difference.shape
    error = ops.square(difference).reshape(n, c * h * w).mean(1)  # (N,)
    return 10.0 / math.log(10.0) * mean(ops.log(error + 1e-8))


def uncertainty(image: Tensor, log_scale: Tensor, target: Tensor) -> Tensor:
    """Return mean|(image - target) exp(-log_scale)| + 2 mean(log_scale).

    Args:
        image, target: (N, C, H, W) in [0, 1].
        log_scale: (N, C, H, W) any real numbers.

    Returns:
        0-d float32 tensor.
    """
    log_scale = log_scale.astype(ms.float32)
    difference = image.astype(ms.float32) - target.astype(ms.float32)
    return mean(ops.abs(difference * ops.exp(-log_scale))) + 2.0 * mean(log_scale)


def build_positive_contrastive(
    *, vgg: str = "vgg19", vgg_weights: str | None = None, vgg_bias: bool = True
) -> PositiveContrastiveLoss:
    """Build the term that a recipe asks for and load its VGG weights.

    Args:
        vgg, vgg_weights, vgg_bias: as for `losses.contrastive.load_features`.

    Returns:
        The loss term with frozen, loaded VGG features; its `note` names them for the log.

    Raises:
        MindRestoreError: no VGG file is named, or it is absent; the message says where to get one.
        WeightError: the file is damaged or holds another network.
    """
    term = PositiveContrastiveLoss(load_features("pocl", vgg, vgg_weights, vgg_bias))
    term.note = f"pocl compares features of {vgg}, weights from {vgg_weights}"
    return term


def _images_and_maps(output: Output) -> Output:
    if not isinstance(output, tuple) or not isinstance(output[0], tuple) or len(output[0]) != len(PSNR_STAGES):
        raise TypeError(_NO_MAPS)
    return output[0], output[1]
