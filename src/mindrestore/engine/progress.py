"""Where a run stands: the small facts of the state file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mindrestore.engine.meter import Meter
from mindrestore.evaluation.metrics import LOWER_IS_BETTER
from mindrestore.recipes.load import to_dict
from mindrestore.recipes.schema import Recipe

# Keys that a resumed run may change without changing what it learns.
_HARMLESS = (
    "name", "output", "validation", "train.epochs", "train.max_steps", "train.device", "train.log_every",
    "train.val_every", "train.val_unit", "train.checkpoint_every", "train.checkpoint_unit", "train.tensorboard",
    "train.nonfinite_patience", "data.root", "data.val_root", "data.val_dataset", "data.val_split", "data.workers",
    "data.processes", "data.cache", "data.cache_gb", "data.cache_dir",
    "model.weights", "model.follows", "model.encoder_weights", "then",
    "loss.terms.contrastive.vgg_weights", "loss.terms.pocl.vgg_weights",
)  # fmt: skip


@dataclass
class Progress:
    """Counters of a run.

    Args:
        step: finished updates.
        validated: step of the last validation.
        best: score of the best validation, None before the first.
        best_step: its step.
        bad_in_row: non-finite updates in a row that a smaller loss scale cannot cure.
        interval: means since the last log record.
        epoch: means since the epoch began.
    """

    step: int = 0
    validated: int = 0
    best: float | None = None
    best_step: int = 0
    bad_in_row: int = 0
    interval: Meter = field(default_factory=Meter)
    epoch: Meter = field(default_factory=Meter)

    def to_facts(self) -> dict[str, Any]:
        """Return plain values for the state file."""
        return dataclasses.asdict(self)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Progress:
        """Undo `to_facts`."""
        values = dict(facts)
        return cls(**{**values, "interval": Meter(**values["interval"]), "epoch": Meter(**values["epoch"])})


def is_better(metric: str, score: float, best: float | None) -> bool:
    """Return whether a score beats the best so far; mae, ciede and other errors count downwards."""
    if math.isnan(score):
        return False
    if best is None:
        return True
    return score < best if metric.lower() in LOWER_IS_BETTER else score > best


def changed_keys(before: Mapping[str, Any], recipe: Recipe) -> list[str]:
    """Name the recipe keys whose change may alter the result of a resumed run.

    Args:
        before: recipe of the state file, as plain values.
        recipe: recipe of this start.

    Returns:
        Lines such as "train.batch_size was 16, is now 8".
    """
    old = {**_flat(to_dict(Recipe()), ""), **_flat(before, "")}  # a key that is newer than the file had its default
    new = _flat(to_dict(recipe), "")
    return [
        f"{key} was {old.get(key)}, is now {new.get(key)}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key) and not any(key == name or key.startswith(f"{name}.") for name in _HARMLESS)
    ]


def _flat(values: Mapping[str, Any], path: str) -> dict[str, Any]:
    flat = {}
    for key, value in values.items():
        name = f"{path}.{key}" if path else key
        flat.update(_flat(value, name) if isinstance(value, Mapping) else {name: value})
    return flat
