"""Keep the weights of the best validation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mindspore import nn

from mindrestore.engine.progress import Progress, is_better
from mindrestore.errors import MindRestoreError
from mindrestore.recipes.schema import Recipe
from mindrestore.weights.convert import save_weights


def keep_best(
    recipe: Recipe, net: nn.Cell, folder: Path, progress: Progress, scores: Mapping[str, float], epoch: int
) -> None:
    """Write `best.ckpt` when the scores are the best so far, and note them in `progress`.

    Args:
        recipe: says which score counts, and under which name the best weights are kept as well; earlier ones stay.
        net: network that was measured.
        folder: run folder.
        progress: where the run stands; its `best` and `best_step` follow.
        scores: by name.
        epoch: number of the epoch, from 0.

    Raises:
        MindRestoreError: the score that counts was not measured, or the folder cannot be written.
    """
    metric = recipe.validation.best_metric
    if metric not in scores:
        raise MindRestoreError(
            f"validation.best_metric={metric} is not among the scores of protocol "
            f"{recipe.validation.protocol}: {', '.join(scores)}; choose one of these"
        )
    if not is_better(metric, scores[metric], progress.best):
        return
    save_weights(net, folder / "best.ckpt")
    progress.best, progress.best_step = scores[metric], progress.step
    if recipe.output.best_name is not None:
        values = {"epoch": epoch, "step": progress.step, metric: progress.best}
        save_weights(net, folder / recipe.output.best_name.format(**values))


def describe_best(recipe: Recipe, progress: Progress) -> str:
    """Word the best validation for the end of the log; nothing when there was none."""
    if progress.best is None:
        return ""
    return f", best {recipe.validation.best_metric} {progress.best:.4f} at step {progress.best_step}"
