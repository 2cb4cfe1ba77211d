"""The training objective of a recipe: named terms and their weighted sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mindspore import Tensor, nn

from mindrestore.losses.pixel import CharbonnierLoss, L1Loss, MSELoss
from mindrestore.recipes.schema import LossConfig


class Objective(nn.Cell):
    """Weigh and add named loss terms; every term stays visible.

    Args:
        terms: term name -> (weight, cell); each cell maps (output, batch_input, target) to a 0-d tensor.
        notes: lines for the training log, such as which terms are off.

    Inputs:
        output: (N, 3, H, W) what the network returned.
        batch_input: (N, 3, H, W) degraded images in [0, 1].
        target: (N, 3, H, W) clear images in [0, 1].

    Returns:
        (total, term, term, ...): 0-d tensors; the terms are unweighted and in the order of `names`.

    Example:
        >>> objective = Objective({"l1": (2.0, L1Loss())})
        >>> total, l1 = objective(output, hazy, clear)   # total == 2 * l1
    """

    def __init__(self, terms: Mapping[str, tuple[float, nn.Cell]], notes: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.names = tuple(terms)
        self.weights = tuple(float(weight) for weight, _ in terms.values())
        self.notes = notes
        self.losses = nn.CellList([cell for _, cell in terms.values()])

    def construct(self, output: Tensor, batch_input: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        total = 0.0
        values = ()
        for i in range(len(self.weights)):
            value = self.losses[i](output, batch_input, target)
            total = total + self.weights[i] * value
            values = (*values, value)
        return (total, *values)


def build_objective(config: LossConfig) -> Objective:
    """Build the objective that a recipe describes.

    Args:
        config: the `loss` section of a recipe; terms of weight 0 are left out and need no files.

    Returns:
        The objective; `.names` are the active terms, `.notes` say which ones are off.

    Raises:
        MindRestoreError: a term asks for a file (VGG weights) that is not there.

    Example:
        >>> build_objective(load_recipe("quickstart").loss).names
        ('l1',)
    """
    terms, notes = {}, []
    for name, settings in config.terms.items():
        if settings["weight"] > 0:
            terms[name] = (settings["weight"], _BUILDERS[name](settings))
        else:
            notes.append(_OFF.get(name, f"loss term {name} is off (weight 0)"))
    return Objective(terms, tuple(notes))


def _build_l1(config: Mapping[str, Any]) -> nn.Cell:
    return L1Loss()


def _build_mse(config: Mapping[str, Any]) -> nn.Cell:
    return MSELoss()


def _build_charbonnier(config: Mapping[str, Any]) -> nn.Cell:
    return CharbonnierLoss(config["eps"])


def _build_contrastive(config: Mapping[str, Any]) -> nn.Cell:
    from mindrestore.losses.contrastive import build_contrastive  # pulls in VGG, which most recipes do without

    return build_contrastive(dict(config))


_BUILDERS: dict[str, Callable[[Mapping[str, Any]], nn.Cell]] = {
    "l1": _build_l1,
    "mse": _build_mse,
    "l2": _build_mse,
    "charbonnier": _build_charbonnier,
    "contrastive": _build_contrastive,
}

_OFF = {
    "contrastive": "contrastive term is off (weight 0): training without VGG features; "
    "loss.terms.contrastive.weight=0.1 with vgg_weights=FILE switches it on"
}
