"""Test sets of DSRIR's modes: which folders a mode needs, and where its published program keeps the weights."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from mindrestore.errors import MindRestoreError
from mindrestore.recipes.load import load_recipe

_PUBLISHED_RUN = "experiments/{mode}/models/DSRIR"
_PUBLISHED_WEIGHTS = "model_best.pth"
_COLUMNS = "dsrir-y-columns"


def mode_sets(args: argparse.Namespace) -> list[Any]:
    """Find the test sets of `--mode` below the folders that the command line names.

    Args:
        args: Parsed arguments of `eval` with `mode`, `denoise_path`, `derain_path`, `dehaze_path`, `reference_ssim`
            and `noise_seed`.

    Returns:
        Named sets in the order of the published table.

    Raises:
        MindRestoreError: A folder that the mode needs is not given, missing or empty.
    """
    from mindrestore.evaluation.sets import recipe_sets

    recipe = load_recipe(f"dsrir/{args.mode}")
    folders = {entry.task: getattr(args, f"{entry.task}_path") for entry in recipe.validation.sets}
    absent = [f"--{task}_path" for task, folder in folders.items() if folder is None]
    if absent:
        raise MindRestoreError(f"--mode {args.mode} measures {', '.join(folders)}; give {' and '.join(absent)} DIR")
    entries = [
        replace(
            entry,
            name=entry.name if entry.sigma is None else f"{Path(folders[entry.task]).name}-{entry.sigma}",
            root=str(Path(folders[entry.task]).resolve()),
            protocol=_COLUMNS if args.reference_ssim and entry.task == "derain" else entry.protocol,
        )
        for entry in recipe.validation.sets
    ]
    recipe = replace(recipe, validation=replace(recipe.validation, sets=tuple(entries)))
    return recipe_sets(recipe, noise_seed=args.noise_seed)


def find_weights(args: argparse.Namespace) -> None:
    """Fill in the run folder or the weight file where the published program has it, when none is given.

    Raises:
        MindRestoreError: There is neither.
    """
    if args.run_folder or args.weights:
        return
    folder = Path(_PUBLISHED_RUN.format(mode=args.mode))
    if (folder / _PUBLISHED_WEIGHTS).is_file():
        args.weights = folder / _PUBLISHED_WEIGHTS
    elif (folder / "recipe.yaml").is_file():
        args.run_folder, args.model = folder, None
    else:
        raise MindRestoreError(
            f"--mode {args.mode}: no weights at {folder / _PUBLISHED_WEIGHTS}; give a run folder or --weights FILE"
        )
