"""Contrastive regularisation in VGG feature space (AECR-Net, section 3.2)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindrestore.errors import MindRestoreError
from mindrestore.models.layers import mean, split
from mindrestore.models.vgg import VGGFeatures
from mindrestore.weights.convert import load_weights
from mindrestore.weights.files import read_weights

TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
TAP_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
FORMS = ("own", "batch_mean", "batch_sum")
EPS = 1e-7  # vanishes in float16, hence everything here is float32

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ContrastiveRegularisation(nn.Cell):
    """Pull the output to the clear image and push it away from hazy ones, in five VGG feature maps.

    Sum over taps i of w_i * mean|F_i(out) - F_i(clear)| / (D_i + 1e-7), with D_i the distance to the negatives:
    `own` takes the image's own hazy input, mean|F_i(out) - F_i(hazy)|, as the published code does; `batch_mean` takes
    the last K hazy images of the batch against every output and averages (the author's multi-negative runs);
    `batch_sum` adds these K distances up, as the MindSpore model zoo does, which makes the term K times smaller.

    Args:
        vgg: feature extractor with the taps `TAPS`; it is frozen here.
        form: `own`, `batch_mean` or `batch_sum`.
        negatives: K, for the two batch forms; at most the batch size counts.
        ablation: True keeps the numerator only, a plain perceptual loss.
        normalise: True shifts images to ImageNet's mean and spread before VGG; the published code does not.

    Inputs:
        output: (N, 3, H, W) what the network returned.
        batch_input: (N, 3, H, W) hazy images in [0, 1].
        target: (N, 3, H, W) clear images in [0, 1]; H and W at least 16.

    Returns:
        0-d float32 tensor; the gradient reaches `output` through both distances.

    Raises:
        MindRestoreError: unknown form.
    """

    def __init__(
        self,
        vgg: VGGFeatures,
        form: str = "own",
        negatives: int = 1,
        ablation: bool = False,
        normalise: bool = False,
    ) -> None:
        super().__init__()
        if form not in FORMS:
            raise MindRestoreError(f"contrastive form {form!r} is not one of {', '.join(FORMS)}")
        self.vgg = vgg
        for parameter in vgg.get_parameters():
            parameter.requires_grad = False
        self.form, self.negatives, self.ablation, self.normalise = form, negatives, ablation, normalise
        self.shift = Tensor(np.array(_MEAN, np.float32).reshape(1, 3, 1, 1))
        self.spread = Tensor(np.array(_STD, np.float32).reshape(1, 3, 1, 1))

    def construct(self, output: Tensor, batch_input: Tensor, target: Tensor) -> Tensor:
        n = output.shape[0]
        anchors = self.features(output)
        fixed = self.features(ops.concat((target, batch_input), 0))  # one pass for both; no gradient
        total = ops.zeros((), ms.float32)
        for i in range(len(TAP_WEIGHTS)):
            anchor = anchors[i]
            clear, hazy = split(ops.stop_gradient(fixed[i]), n, 0)
            value = mean(ops.abs(anchor - clear))
            if not self.ablation:
                value = value / (self.distance(anchor, hazy) + EPS)
            total = total + TAP_WEIGHTS[i] * value
        return total

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        images = images.astype(ms.float32)
        if self.normalise:
            images = (images - self.shift) / self.spread
        return self.vgg(images)

    def distance(self, anchor: Tensor, negative: Tensor) -> Tensor:
        """Return the distance of the (N, C, h, w) features of the output to those of the N hazy images."""
        if self.form == "own":
            return mean(ops.abs(anchor - negative))
        n = anchor.shape[0]
        count = min(self.negatives, n)
        total = ops.zeros((), ms.float32)
        for k in range(count):
            total = total + mean(ops.abs(negative[n - 1 - k : n - k] - anchor))
        return total / count if self.form == "batch_mean" else total


def build_contrastive(
    *, vgg: str = "vgg19", vgg_weights: str | None = None, vgg_bias: bool = True, **options: Any
) -> ContrastiveRegularisation:
    """Build the term that a recipe asks for and load its VGG weights.

    Args:
        vgg, vgg_weights, vgg_bias: as for `load_features`.
        **options: those of `ContrastiveRegularisation`.

    Returns:
        The loss term with frozen, loaded VGG features.

    Raises:
        MindRestoreError: no VGG file is named, or it is absent; the message says where to get one.
        WeightError: the file is damaged or holds another network.
    """
    return ContrastiveRegularisation(load_features("contrastive", vgg, vgg_weights, vgg_bias), **options)


def load_features(term: str, layout: str, path: str | None, bias: bool) -> VGGFeatures:
    """Build the VGG that a loss term compares features of, and load its weights.

    Args:
        term: name of the loss term, for messages.
        layout: "vgg16" or "vgg19".
        path: file of its weights.
        bias: False for a file without biases.

    Returns:
        Features at `TAPS`.

    Raises:
        MindRestoreError: no VGG file is named, or it is absent; the message says where to get one.
        WeightError: the file is damaged or holds another network.
    """
    if not path or not Path(path).is_file():
        found = f"{path}: no such file" if path else f"loss term {term} needs ImageNet weights of {layout}"
        raise MindRestoreError(
            f"{found}. Get torchvision's file (`mindrestore weights get {layout}`, docs/weights.md) and set "
            f"loss.terms.{term}.vgg_weights=FILE, or switch the term off: loss.terms.{term}.weight=0"
        )
    vgg = VGGFeatures(layout, TAPS, bias=bias)
    report = load_weights(
        vgg, _torchvision_names(path), strict=False
    )  # the file also holds deeper layers and a classifier
    if report.missing:
        raise MindRestoreError(
            f"{path}: no {layout} features, {', '.join(report.missing[:4])} missing; set loss.terms.{term}.vgg to "
            "the layout of the file, or vgg_bias=false for a file without biases"
        )
    return vgg


def _torchvision_names(path: str) -> str | dict[str, Any]:
    """Return the file, or its entries where they are named as in MindSpore's model zoo: `layers.0.weight`."""
    entries = read_weights(path)
    if "layers.0.weight" not in entries:
        return path
    return {re.sub(r"^layers\.", "features.", name): value for name, value in entries.items()}
