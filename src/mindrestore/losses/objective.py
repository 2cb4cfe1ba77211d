"""The training objective of a recipe: named terms and their weighted sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from mindrestore.errors import MindRestoreError
from mindrestore.losses.moment import Moment
from mindrestore.losses.pixel import CharbonnierLoss, L1Loss, MSELoss, SmoothL1Loss
from mindrestore.losses.structural import EdgeLoss
from mindrestore.recipes.schema import LossConfig


class Objective(nn.Cell):
    """Weigh and add named loss terms; every term stays visible.

    A network of several stages gives one image per stage. A term on images measures each of them and is logged as
    `<term>_<stage>`, the final stage having the highest number; `total_<stage>` is the weighted sum of a stage's terms.
    A term whose cell has a true attribute `raw_output` takes the whole output once, under its own name. A term with a
    method `drive` takes the final image and what that method gives for each batch: a factor of its weight, and further
    inputs. Both come from the host as arrays, so that schedules and draws need no compilation.

    Args:
        terms: term name -> (weight, cell); each cell maps (output, batch_input, target) to a 0-d tensor.
        notes: lines for the training log, such as which terms are off.
        stage_weights: factor of each stage, the final one first; one number for a network with one image.

    Inputs:
        output: what the network returned: (N, 3, H, W), a tuple of them with the final one first, or a tuple whose
            first element is that tuple.
        batch_input: (N, 3, H, W) degraded images in [0, 1].
        target: (N, 3, H, W) clear images in [0, 1].
        *driven: what `drive` gave for this batch, as tensors.

    Returns:
        (total, value, value, ...): 0-d tensors; the values are in the order of `names`, those of terms unweighted.
    """

    def __init__(
        self,
        terms: Mapping[str, tuple[float, nn.Cell]],
        notes: tuple[str, ...] = (),
        stage_weights: tuple[float, ...] = (1.0,),
    ) -> None:
        super().__init__()
        raw = {name: term for name, term in terms.items() if getattr(term[1], "raw_output", False)}
        driven = {name: term for name, term in terms.items() if hasattr(term[1], "drive")}
        image = {name: term for name, term in terms.items() if name not in raw and name not in driven}
        self.stage_weights = stage_weights
        self.staged = len(stage_weights) > 1
        self.shows_totals = self.staged and len(image) > 1
        self.names = (*self._stage_names(tuple(image)), *raw, *driven)
        order = "/".join(str(stage) for stage in range(len(stage_weights), 0, -1))
        self.notes = (*notes, f"terms on images are logged for stages {order}") if self.staged and image else notes
        self.weights = tuple(float(weight) for weight, _ in image.values())
        self.raw_weights = tuple(float(weight) for weight, _ in raw.values())
        self.losses = nn.CellList([cell for _, cell in image.values()])
        self.raw_losses = nn.CellList([cell for _, cell in raw.values()])
        self.driven_weights = tuple(float(weight) for weight, _ in driven.values())
        self.driven_losses = nn.CellList([cell for _, cell in driven.values()])
        ends = np.cumsum([0, *(cell.driven_inputs for _, cell in driven.values())]).tolist()
        self.spans = tuple(zip(ends, ends[1:]))  # of each driven term's share of `drive`

    def _stage_names(self, terms: tuple[str, ...]) -> tuple[str, ...]:
        if not self.staged:
            return terms
        parts = (*terms, "total") if self.shows_totals else terms
        return tuple(f"{part}_{stage}" for stage in range(len(self.stage_weights), 0, -1) for part in parts)

    @property
    def adversary(self) -> nn.Cell | None:
        """Return the term that holds a discriminator to train beside the network; None without one."""
        return next((cell for cell in self.losses if hasattr(cell, "discriminator")), None)

    def drive(self, moment: Moment) -> tuple[np.ndarray, ...]:
        """Return what the terms take for one batch beside its images; nothing, when none has a method `drive`.

        Args:
            moment: the batch's place in training.

        Returns:
            Arrays for `construct`, in its order.
        """
        return tuple(array for cell in self.driven_losses for array in cell.drive(moment))

    def construct(
        self, output: Tensor | tuple[Tensor, ...], batch_input: Tensor, target: Tensor, *driven: Tensor
    ) -> tuple[Tensor, ...]:
        total = 0.0
        values = ()
        for s in range(len(self.stage_weights)):
            stage = 0.0
            for i in range(len(self.weights)):
                value = self.losses[i](self.image(output, s), batch_input, target)
                stage = stage + self.weights[i] * value
                values = (*values, value)
            total = total + self.stage_weights[s] * stage
            if self.shows_totals:
                values = (*values, stage)
        for i in range(len(self.raw_weights)):
            value = self.raw_losses[i](output, batch_input, target)
            total = total + self.raw_weights[i] * value
            values = (*values, value)
        for i in range(len(self.driven_weights)):
            first, last = self.spans[i]
            value = self.driven_losses[i](self.image(output, 0), batch_input, target, *driven[first + 1 : last])
            total = total + self.driven_weights[i] * driven[first] * value
            values = (*values, value)
        return (total, *values)

    def image(self, output: Tensor | tuple[Tensor, ...], stage: int) -> Tensor:
        """Return the image of a stage, 0 being the final one."""
        if not self.staged:
            return output
        return output[0][stage] if isinstance(output[0], tuple) else output[stage]


def build_objective(config: LossConfig, stages: int = 1) -> Objective:
    """Build the objective that a recipe describes.

    Args:
        config: the `loss` section of a recipe; terms of weight 0 are left out and need no files.
        stages: images that the network returns, see `ModelSpec.stages`.

    Returns:
        The objective; `.names` are the values it gives, `.notes` say which terms are off and how stages are logged.

    Raises:
        MindRestoreError: a term asks for a file (VGG weights) that is not there, or `stage_weights` do not fit.
    """
    stage_weights = config.stage_weights or (1.0,) * stages
    if len(stage_weights) != stages:
        raise MindRestoreError(
            f"loss.stage_weights {list(stage_weights)} has {len(stage_weights)} numbers, but the network returns "
            f"{stages} image{'s' if stages > 1 else ''}; give one number per image, that of the final one first"
        )
    if stages > 1 and config.terms.get("adversarial", {"weight": 0})["weight"] > 0:
        raise MindRestoreError(
            f"loss term adversarial judges one image, but the network returns {stages}; switch the term off with "
            "loss.terms.adversarial.weight=0"
        )
    terms, notes = {}, []
    for name, settings in config.terms.items():
        if settings["weight"] > 0:
            terms[name] = (settings["weight"], _BUILDERS[name](settings))
            notes += [note] if (note := getattr(terms[name][1], "note", None)) else []
        else:
            notes.append(_OFF.get(name, f"loss term {name} is off (weight 0)"))
    return Objective(terms, tuple(notes), stage_weights)


def _build_l1(config: Mapping[str, Any]) -> nn.Cell:
    return L1Loss()


def _build_mse(config: Mapping[str, Any]) -> nn.Cell:
    return MSELoss()


def _build_smooth_l1(config: Mapping[str, Any]) -> nn.Cell:
    return SmoothL1Loss()


def _build_charbonnier(config: Mapping[str, Any]) -> nn.Cell:
    return CharbonnierLoss(config["eps"], config["clamp"], config["reduction"])


def _build_edge(config: Mapping[str, Any]) -> nn.Cell:
    return EdgeLoss(config["eps"], config["reduction"])


def _build_contrastive(config: Mapping[str, Any]) -> nn.Cell:
    from mindrestore.losses.contrastive import build_contrastive  # pulls in VGG, which most recipes do without

    return build_contrastive(dict(config))


def _build_psnr(config: Mapping[str, Any]) -> nn.Cell:
    from mindrestore.losses.progressive import PSNRLoss

    return PSNRLoss()


def _build_uncertainty(config: Mapping[str, Any]) -> nn.Cell:
    from mindrestore.losses.progressive import UncertaintyLoss

    return UncertaintyLoss()


def _build_pocl(config: Mapping[str, Any]) -> nn.Cell:
    from mindrestore.losses.progressive import build_positive_contrastive

    return build_positive_contrastive(dict(config))


def _build_consistency(config: Mapping[str, Any]) -> nn.Cell:
    from mindrestore.losses.consistency import build_consistency

    return build_consistency(config)


def _build_ms_ssim(config: Mapping[str, Any]) -> nn.Cell:
    from mindrestore.losses.ms_ssim import MSSSIMLoss

    return MSSSIMLoss()


def _build_adversarial(config: Mapping[str, Any]) -> nn.Cell:
    from mindrestore.losses.adversarial import build_adversarial

    return build_adversarial(config)


_BUILDERS: dict[str, Callable[[Mapping[str, Any]], nn.Cell]] = {
    "l1": _build_l1,
    "mse": _build_mse,
    "l2": _build_mse,
    "smooth_l1": _build_smooth_l1,
    "charbonnier": _build_charbonnier,
    "edge": _build_edge,
    "contrastive": _build_contrastive,
    "psnr": _build_psnr,
    "uncertainty": _build_uncertainty,
    "pocl": _build_pocl,
    "consistency": _build_consistency,
    "ms_ssim": _build_ms_ssim,
    "adversarial": _build_adversarial,
}

_OFF = {
    "contrastive": "contrastive term is off (weight 0): training without VGG features; "
    "loss.terms.contrastive.weight=0.1 with vgg_weights=FILE switches it on",
    "pocl": "positive contrastive term pocl is off (weight 0): training without VGG features; "
    "loss.terms.pocl.weight=0.2 with vgg_weights=FILE switches it on",
    "adversarial": "adversarial term is off (weight 0): training without a discriminator; "
    "loss.terms.adversarial.weight=0.0005 switches it on",
}
