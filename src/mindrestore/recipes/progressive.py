"""Work out when progressive training goes on to larger patches and smaller batches."""

from __future__ import annotations

from collections.abc import Sequence

from mindrestore.recipes.schema import RecipeError

# DSRIR's plan, for patches of 128, 160, 192 and 256 pixels.
ITERATIONS = (128_000, 112_000, 96_000, 64_000)
BATCH_SIZES = (16, 14, 12, 8)


def epoch_switches(
    images: int, iterations: Sequence[int] = ITERATIONS, batch_sizes: Sequence[int] = BATCH_SIZES
) -> list[int]:
    """Return the last epoch of every stage, counted from 1, so that each lasts about as many iterations as planned.

    A stage lasts floor(iterations / (images / batch size)) epochs.

    Args:
        images: Training pairs in one epoch, repetitions included.
        iterations: Planned iterations of each stage.
        batch_sizes: Batch size of each stage.

    Returns:
        As many numbers as there are stages; the last one is the number of epochs.

    Raises:
        RecipeError: If the lists differ in length, a number is below 1, or a stage is shorter than one epoch.
    """
    if not iterations or len(iterations) != len(batch_sizes):
        raise RecipeError(
            f"iterations {list(iterations)} and batch sizes {list(batch_sizes)}: use one of each per stage"
        )
    least = min(images, *iterations, *batch_sizes)
    if least < 1:
        raise RecipeError(f"{least} is not a number of images, iterations or a batch; use 1 or more")
    switches, last = [], 0
    for stage, (planned, batch) in enumerate(zip(iterations, batch_sizes), 1):
        # Division in floating point, as the published numbers were made: 112000 // (200 / 14) is 7839, not 7840.
        epochs = int(planned // (images / batch))
        if epochs < 1:
            raise RecipeError(
                f"stage {stage}: {planned} iterations of {batch} show fewer than the {images} images; plan more of them"
            )
        last += epochs
        switches.append(last)
    return switches
