"""The arguments that say which trained network to use, shared by `eval`, `restore` and `export`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import yaml

from mindrestore.errors import MindRestoreError

DEVICES = "auto, CPU, GPU or Ascend; card numbers such as 0 mean auto"


def add_source(parser: argparse.ArgumentParser, *, run_folder: bool = True) -> None:
    """Add RUN_FOLDER (unless the command has other positional arguments), `--model`, `--weights` and `--hyper`."""
    if run_folder:
        parser.add_argument("run_folder", nargs="?", type=Path, help="run folder of `train`")
    parser.add_argument("--model", metavar="NAME", help="network; see `mindrestore models`")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="weight file, ours or an official one; or default, or a name of `mindrestore weights list`, for weights "
        "that come with MindRestore",
    )
    parser.add_argument(
        "--hyper",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="hyper-parameter that the weights were trained with, such as n_feat=40; may be given several times "
        "(default: those of the run folder in which the weights lie, else the published ones)",
    )
    add_device(parser)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add `--device`."""
    parser.add_argument("--device", type=device, metavar="NAME", default="auto", help=f"{DEVICES} (default: auto)")


def device(text: str) -> str:
    """Read a device; card numbers, as published programs take them, leave the kind to be found.

    Raises:
        argparse.ArgumentTypeError: It is neither.
    """
    if re.fullmatch(r"[0-9]+(,[0-9]+)*", text):
        return "auto"
    known = {name.lower(): name for name in ("auto", "CPU", "GPU", "Ascend")}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is not a device; choose from auto, CPU, GPU, Ascend")
    return known[text.lower()]


def read_source(args: argparse.Namespace) -> Any:
    """Make an `api.Trained` of the parsed arguments.

    Raises:
        MindRestoreError: Neither a run folder nor a model with weights was given, or both.
    """
    from mindrestore import api

    run_folder = getattr(args, "run_folder", None)
    if run_folder and (args.model or args.weights or args.hyper):
        raise MindRestoreError("give either a run folder or --model, --weights and --hyper, not both")
    if run_folder:
        return api.Trained.of_run(run_folder)
    if args.model and args.weights:
        return api.Trained.of_file(args.model, args.weights, read_hyper(args))
    run_folder_or = "a run folder, or " if hasattr(args, "run_folder") else ""
    raise MindRestoreError(f"nothing says which network to use; give {run_folder_or}--model NAME and --weights FILE")


def read_hyper(args: argparse.Namespace) -> dict[str, Any]:
    """Read the `--hyper KEY=VALUE` arguments.

    Raises:
        MindRestoreError: One is not of this form.
    """
    hyper = {}
    for text in args.hyper:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise MindRestoreError(f"--hyper {text}: give KEY=VALUE, such as n_feat=40")
        try:
            hyper[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise MindRestoreError(
                f"--hyper {text}: the value cannot be read; give KEY=VALUE, such as n_feat=40"
            ) from error
    return hyper
