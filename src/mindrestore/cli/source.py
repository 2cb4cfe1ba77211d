"""The arguments that say which trained network to use, shared by `eval`, `restore` and `export`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mindrestore.errors import MindRestoreError


def add_source(parser: argparse.ArgumentParser, *, run_folder: bool = True) -> None:
    """Add RUN_FOLDER (unless the command has other positional arguments), `--model` and `--weights`."""
    if run_folder:
        parser.add_argument("run_folder", nargs="?", type=Path, help="run folder of `train`")
    parser.add_argument("--model", metavar="NAME", help="network; see `mindrestore models`")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weight file (.ckpt, .safetensors or .npz)")
    parser.add_argument(
        "--device", choices=("auto", "CPU", "GPU", "Ascend"), default="auto", help="device (default: auto)"
    )


def read_source(args: argparse.Namespace) -> Any:
    """Make an `api.Trained` of the parsed arguments.

    Raises:
        MindRestoreError: Neither a run folder nor a model with weights was given, or both.
    """
    from mindrestore import api

    run_folder = getattr(args, "run_folder", None)
    if run_folder and (args.model or args.weights):
        raise MindRestoreError("give either a run folder or --model and --weights, not both")
    if run_folder:
        return api.Trained.of_run(run_folder)
    if args.model and args.weights:
        return api.Trained.of_file(args.model, args.weights)
    run_folder_or = "a run folder, or " if hasattr(args, "run_folder") else ""
    raise MindRestoreError(f"nothing says which network to use; give {run_folder_or}--model NAME and --weights FILE")
