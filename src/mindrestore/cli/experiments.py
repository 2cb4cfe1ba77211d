"""Experiments of the DehazeFormer programs: where `test.py --model M --dataset D --exp E` keeps its files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindrestore.cli.aliases import System
from mindrestore.errors import MindRestoreError

_MODEL, _DATASET, _EXPERIMENT = "scaleupdehazing", "NID", "nid"  # the published defaults
_SUFFIXES = (".pth", ".ckpt", ".safetensors", ".npz")


def take_experiment(args: argparse.Namespace, system: System, values: Mapping[str, Any]) -> None:
    """Fill in the arguments of `eval` that the published program works out from its flags.

    Args:
        args: Parsed arguments; those that are given stay.
        system: The table of the programs.
        values: Flag -> value.

    Raises:
        MindRestoreError: There are no weights where the program and `train` put them.
    """
    published, dataset = args.model or _MODEL, args.dataset or _DATASET
    model = system.flags["--model"].value(published)
    args.data = args.data or Path(args.data_dir or "data") / dataset
    args.dataset = _known_dataset(dataset)
    args.out = args.out or Path(args.result_dir or "results") / dataset / published
    args.protocol = args.protocol or "dehazeformer"
    args.model = None if args.run_folder else model
    if args.run_folder or args.weights:
        return
    experiment = str(args.exp or _EXPERIMENT).rpartition("/")[2]
    root = Path(args.save_dir or "saved_models")
    names = dict.fromkeys((published, model, model.replace("_", "-")))
    files = [root / experiment / f"{name}{suffix}" for name in names for suffix in _SUFFIXES]
    recipe = system.recipe_for({"--exp": system.flags["--exp"].value(experiment), "--model": model})
    runs = [root / f"{recipe.replace('/', '_')}{end}" for end in ("_stage2", "")]
    args.weights = next((path for path in files if path.is_file()), None)
    if args.weights is None:
        args.run_folder = next((path for path in runs if (path / "recipe.yaml").is_file()), None)
        args.model = None
    if args.weights is None and args.run_folder is None:
        raise MindRestoreError(f"no weights at {files[0]}, and no run folder {runs[1]}; give --weights FILE")


def _known_dataset(name: str) -> str | None:
    """Return the name if the catalogue has it; other folders are recognised by what they hold."""
    from mindrestore.data.catalog import DatasetError, dataset_name

    try:
        return dataset_name(name)
    except DatasetError:
        return None
