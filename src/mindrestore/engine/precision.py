"""Loss scaling and mixed precision."""

from __future__ import annotations

import math
from typing import Any, Union

from mindspore import amp, nn
from mindspore import dtype as mstype

from mindrestore.engine.context import DeviceError
from mindrestore.models.layers import Layer
from mindrestore.recipes.schema import LossScaleConfig

ScaleManager = Union[amp.FixedLossScaleManager, amp.DynamicLossScaleManager]


def build_loss_scale(config: LossScaleConfig) -> ScaleManager | None:
    """Build MindSpore's loss scale manager for a recipe.

    Args:
        config: `loss_scale` section of the recipe.

    Returns:
        FixedLossScaleManager, DynamicLossScaleManager, or None for no scaling.
    """
    if config.kind == "fixed":
        return amp.FixedLossScaleManager(config.value)
    if config.kind == "dynamic":
        return amp.DynamicLossScaleManager(config.value, config.factor, config.window)
    return None


def scale_of(manager: ScaleManager | None) -> float:
    """Return the current factor, 1 without a manager."""
    return float(manager.get_loss_scale()) if manager is not None else 1.0


def follow_scale(manager: ScaleManager | None, finite: bool, scale: float) -> None:
    """Let a manager do what the device has done behind a step.

    Args:
        manager: a fixed one, or none, stays as it is.
        finite: whether the step updated.
        scale: that the device goes on with. It counts, since it is rounded to float32, unless it is beyond that.
    """
    if isinstance(manager, amp.DynamicLossScaleManager):
        manager.update_loss_scale(not finite)
        if math.isfinite(scale):
            manager.loss_scale = scale


def at_smallest_scale(manager: ScaleManager | None) -> bool:
    """Return whether a smaller scale cannot help against overflow any more."""
    return not isinstance(manager, amp.DynamicLossScaleManager) or scale_of(manager) <= 1.0


def scale_state(manager: ScaleManager | None) -> dict[str, Any]:
    """Return the numbers that a dynamic manager changes, for the state file."""
    dynamic = isinstance(manager, amp.DynamicLossScaleManager)
    return {key: getattr(manager, key) for key in _DYNAMIC} if dynamic else {}


def restore_scale(manager: ScaleManager | None, state: dict[str, Any]) -> None:
    """Put the numbers of `scale_state` back."""
    if isinstance(manager, amp.DynamicLossScaleManager):
        for key, value in state.items():
            setattr(manager, key, value)


def cast_network(net: nn.Cell, level: str, device: str) -> nn.Cell:
    """Let the layers of a network compute in half precision; parameters stay float32.

    Layers that say `keep_float32` (whitening statistics, for example) keep float32.

    Args:
        net: the network; it is changed in place.
        level: "O0" (nothing), "float16" or "bfloat16".
        device: "CPU", "GPU" or "Ascend".

    Returns:
        The cell to call: casts its inputs down and its outputs back to float32.

    Raises:
        DeviceError: the device has no kernels for that type.
    """
    if level == "O0":
        return net
    if level == "bfloat16" and device != "Ascend":
        raise DeviceError(f"train.amp=bfloat16: MindSpore has no bfloat16 convolution on {device}; use O0 or float16")
    wrapped = amp.auto_mixed_precision(net, "O2", mstype.float16 if level == "float16" else mstype.bfloat16)
    for _, cell in net.cells_and_names():
        if isinstance(cell, Layer) and cell.keep_float32:
            cell.to_float(mstype.float32)
    return wrapped


_DYNAMIC = ("loss_scale", "cur_iter", "last_overflow_iter", "bad_step")
