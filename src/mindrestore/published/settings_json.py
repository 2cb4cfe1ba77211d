"""Settings files of the DehazeFormer and CrossDehaze programs, as overrides of a recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mindrestore.errors import MindRestoreError, did_you_mean
from mindrestore.files import read_json

_FLOOR = 100  # the rate falls to this part of its start
_DECAY = {"adamw": 0.01, "adam": 0.0}  # PyTorch's default of each


def read_settings(path: Path) -> list[str]:
    """Read a settings file.

    Args:
        path: JSON file with some of batch_size, patch_size, valid_mode, edge_decay, only_h_flip, optimizer, lr, epochs,
            eval_freq.

    Returns:
        `key=value` overrides with the same meaning. `epochs` becomes one more, as the published loop has it.

    Raises:
        MindRestoreError: The file cannot be read, or a setting or its value is unknown.
    """
    try:
        settings = read_json(path)
    except (OSError, ValueError) as error:
        raise MindRestoreError(f"--config-json {path}: cannot be read ({error}); use a JSON file") from error
    if not isinstance(settings, dict):
        raise MindRestoreError(f"--config-json {path}: holds {type(settings).__name__}, expected names and values")
    overrides = []
    for name, value in settings.items():
        if name not in _MEANINGS:
            raise MindRestoreError(f"--config-json {path}: unknown setting {name!r}; {did_you_mean(name, _MEANINGS)}")
        try:
            overrides += [f"{key}={json.dumps(item)}" for key, item in _MEANINGS[name](value, settings).items()]
        except (KeyError, TypeError):
            raise MindRestoreError(f"--config-json {path}: {name} {value!r} is not understood") from None
    return overrides


def _validated_part(mode: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Whole images, or the middle of each, as large as a training patch."""
    sides = {"valid": settings.get("patch_size", 256), "test": None}
    return {"data.val_crop": sides[mode]}


_MEANINGS: dict[str, Callable[[Any, dict[str, Any]], dict[str, Any]]] = {
    "batch_size": lambda value, _: {"train.batch_size": value},
    "patch_size": lambda value, _: {"data.patch_size": value},
    "valid_mode": _validated_part,
    "edge_decay": lambda value, _: {"data.edge_decay": value},
    "only_h_flip": lambda value, _: {"data.augment": {True: ["hflip"], False: ["hflip", "rot90"]}[value]},
    "optimizer": lambda value, _: {"optim.name": value, "optim.weight_decay": _DECAY[value]},
    "lr": lambda value, _: {"optim.lr": value, "schedule.min_lr": value / _FLOOR},
    "epochs": lambda value, _: {"train.epochs": value + 1, "train.max_steps": None},
    "eval_freq": lambda value, _: {"train.val_every": value, "train.val_unit": "epoch"},
}
