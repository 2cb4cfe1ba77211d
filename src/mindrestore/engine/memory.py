"""Recognise that memory ran out, on whichever device, and say what to change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

from mindrestore.errors import MindRestoreError, ran_out
from mindrestore.recipes.schema import Recipe

VALIDATION = "validation"


class OutOfMemoryError(MindRestoreError):
    """Report work that does not fit into the memory; the message says what to make smaller."""


@contextmanager
def explained(explain: Callable[[], str]) -> Iterator[None]:
    """Turn running out of memory inside a `with` block into one line.

    Args:
        explain: returns the line, which names what was too large and what to change.

    Raises:
        OutOfMemoryError: memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not ran_out(error):
            raise
        raise OutOfMemoryError(explain()) from None


def too_large(recipe: Recipe, device: str, step: int, work: str) -> str:
    """Word that a training ran out of memory.

    Args:
        recipe: what is trained.
        device: "CPU", "GPU" or "Ascend".
        step: the update that was being made, from 1.
        work: what did not fit, such as "training on batches of 16 patches of 240x240 pixels" or "validation".

    Returns:
        One line that names the keys to change.
    """
    train = recipe.train
    if work == VALIDATION:
        now = "whole images" if recipe.data.val_crop is None else recipe.data.val_crop
        keys = f"data.val_crop (now {now})"
    elif train.progressive:
        keys = "train.progressive.batch_sizes or train.progressive.patch_sizes"
    else:
        half = f"optim.accumulate={2 * recipe.optim.accumulate} with half of it learns the same"
        keys = f"train.batch_size (now {train.batch_size}; {half}) or data.patch_size (now {recipe.data.patch_size})"
    return f"out of memory on {device} at step {step}, {work} with {recipe.model.name}; lower {keys}"
