"""The loss terms: what each is called, its settings with their defaults, and what builds it. One table says all.

The names of builders are data here, so that a recipe is checked without MindSpore; `losses.objective` looks them up.
"""

from __future__ import annotations

# ruff: noqa: UP045 - the annotations are evaluated at run time, where Python 3.9 has no `X | None`
from dataclasses import dataclass
from typing import Optional

from mindrestore.recipes.values import EPOCHS, SIDE, WEIGHT
from mindrestore.recipes.values import bounded as _value

MAP_TERMS = ("psnr", "uncertainty", "pocl")  # on the images and uncertainty maps of every stage of DSRIR
POCL_SIDE = 16  # least side of a patch (pixels): four 2x2 poolings lie before the deepest VGG map


@dataclass(frozen=True)
class PixelTerm:
    """A loss on pixels: `l1`, `mse` or its alias `l2`, `smooth_l1`."""

    weight: float = _value(1.0, minimum=0, maximum=WEIGHT)  # of the mean loss over pixels


@dataclass(frozen=True)
class CharbonnierTerm:
    """sqrt(difference^2 + eps^2), mean or sum over the pixels."""

    weight: float = _value(1.0, minimum=0, maximum=WEIGHT)  # of the Charbonnier loss
    eps: float = _value(1e-3, above=0, maximum=1)  # smooths the loss at 0
    clamp: bool = False  # True: the output is limited to [0, 1] first
    reduction: str = _value("mean", choices=("mean", "sum"))  # over the pixels


@dataclass(frozen=True)
class EdgeTerm:
    """Charbonnier distance of edge maps (MPRNet, equation 3)."""

    weight: float = _value(0.05, minimum=0, maximum=WEIGHT)  # of the Charbonnier loss between edge maps
    eps: float = _value(1e-3, above=0, maximum=1)  # smooths the loss at 0
    reduction: str = _value("mean", choices=("mean", "sum"))  # over the pixels


@dataclass(frozen=True)
class PositiveContrastiveTerm:
    """Positive contrastive loss in VGG feature space, on the three images of DSRIR."""

    weight: float = _value(0.2, minimum=0, maximum=WEIGHT)  # of the loss on VGG features
    vgg: str = _value("vgg19", choices=("vgg16", "vgg19"))  # network of the features
    vgg_weights: Optional[str] = None  # file of its ImageNet weights; needed
    vgg_bias: bool = True  # False: for a file without biases, such as the model zoo's


@dataclass(frozen=True)
class ContrastiveTerm(PositiveContrastiveTerm):
    """Contrastive regularisation in VGG feature space, with negatives (AECR-Net, section 3.2 of the paper)."""

    weight: float = _value(0.1, minimum=0, maximum=WEIGHT)  # of the contrastive loss on VGG features
    normalise: bool = False  # True: ImageNet mean and spread before VGG, which the published code leaves out
    negatives: int = _value(1, minimum=1, maximum=64)  # hazy images that each result is compared with
    form: str = _value("own", choices=("own", "batch_mean", "batch_sum"))  # own hazy input; mean or sum over the batch
    ablation: bool = False  # True: only the distance to the clear image


@dataclass(frozen=True)
class StagesTerm:
    """`psnr` or `uncertainty`: a loss on the three images and uncertainty maps of DSRIR."""

    weight: float = _value(1.0, minimum=0, maximum=WEIGHT)  # of the loss on DSRIR's three images


@dataclass(frozen=True)
class ConsistencyTerm:
    """Self-supervised term of CrossDehaze: a crop of the output and a blur of that crop; its weight falls to 0."""

    weight: float = _value(0.4, minimum=0, maximum=WEIGHT)  # for images in [0, 1]
    size: int = _value(16, minimum=11, maximum=SIDE)  # of the crop in pixels
    crop: str = _value("centre", choices=("centre", "random"))  # where the crop is taken
    sigma: tuple[float, ...] = _value((0.1, 5.0), above=0, maximum=100)  # least and greatest blur
    horizon: Optional[int] = _value(None, minimum=1, maximum=EPOCHS)  # epoch, from 0, with weight 0; None: the last one


@dataclass(frozen=True)
class MSSSIMTerm:
    """One minus the similarity of structures over five scales, in the form that MPILNet is trained with."""

    weight: float = _value(0.5, minimum=0, maximum=WEIGHT)  # of 1 - MS-SSIM


@dataclass(frozen=True)
class AdversarialTerm:
    """A discriminator trained beside the network, and what the network pays for images that it recognises."""

    weight: float = _value(0.0005, minimum=0, below=1)  # of 1 - D(output)
    # the discriminator's learning rate, as a multiple of optim.lr
    lr_factor: float = _value(1.0, above=0, maximum=1000)


@dataclass(frozen=True)
class LossTerm:
    """One row of the table.

    Args:
        settings: class of the settings.
        builder: `module.name` in `mindrestore.losses`; it takes the settings, except for the weight, as keywords.
        off: what the log says when the weight is 0 and the term's absence matters.
        weighed: whether the builder takes the weight, too.
    """

    settings: type
    builder: str
    off: str = ""
    weighed: bool = False


LOSS_TERMS: dict[str, LossTerm] = {
    "l1": LossTerm(PixelTerm, "pixel.L1Loss"),
    "mse": LossTerm(PixelTerm, "pixel.MSELoss"),
    "l2": LossTerm(PixelTerm, "pixel.MSELoss"),
    "smooth_l1": LossTerm(PixelTerm, "pixel.SmoothL1Loss"),
    "charbonnier": LossTerm(CharbonnierTerm, "pixel.CharbonnierLoss"),
    "edge": LossTerm(EdgeTerm, "structural.EdgeLoss"),
    "contrastive": LossTerm(
        ContrastiveTerm,
        "contrastive.build_contrastive",
        off="contrastive term is off (weight 0): training without VGG features; "
        "loss.terms.contrastive.weight=0.1 with vgg_weights=FILE switches it on",
    ),
    "psnr": LossTerm(StagesTerm, "progressive.PSNRLoss"),
    "uncertainty": LossTerm(StagesTerm, "progressive.UncertaintyLoss"),
    "pocl": LossTerm(
        PositiveContrastiveTerm,
        "progressive.build_positive_contrastive",
        off="positive contrastive term pocl is off (weight 0): training without VGG features; "
        "loss.terms.pocl.weight=0.2 with vgg_weights=FILE switches it on",
    ),
    "consistency": LossTerm(ConsistencyTerm, "consistency.ConsistencyLoss"),
    "ms_ssim": LossTerm(MSSSIMTerm, "ms_ssim.MSSSIMLoss"),
    "adversarial": LossTerm(
        AdversarialTerm,
        "adversarial.build_adversarial",
        off="adversarial term is off (weight 0): training without a discriminator; "
        "loss.terms.adversarial.weight=0.0005 switches it on",
        weighed=True,
    ),
}
