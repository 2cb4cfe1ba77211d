"""The arguments that say which trained network to use, shared by `eval`, `restore` and `export`."""

from __future__ import annotations

import argparse
import os
import re
from typing import Any

from mindrestore.cli.arguments import nonempty_path
from mindrestore.errors import MindRestoreError

DEVICES = "auto, CPU, GPU or Ascend, or the number of a card"
_CARDS = re.compile(r"[0-9]+(,[0-9]+)*")


def add_source(parser: argparse.ArgumentParser, *, run_folder: bool = True) -> None:
    """Add RUN_FOLDER (unless the command has other positional arguments), `--model`, `--weights` and `--hyper`."""
    if run_folder:
        parser.add_argument("run_folder", nargs="?", type=nonempty_path, help="run folder of `train`")
    parser.add_argument("--model", metavar="NAME", help="network; see `mindrestore models`")
    parser.add_argument(
        "--weights",
        type=nonempty_path,
        metavar="FILE",
        help="weight file, ours or an official one; a run folder; a folder of weight files, of which the newest is "
        "used; default, or a name of `mindrestore weights list`, for the included weights",
    )
    parser.add_argument(
        "--hyper",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="hyper-parameter that the weights were trained with, such as n_feat=40; repeatable (default: those of the "
        "run folder that contains the weights, else the published ones)",
    )
    add_device(parser)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add `--device`."""
    parser.add_argument("--device", type=device, metavar="NAME", default="auto", help=f"{DEVICES} (default: auto)")


def device(text: str) -> str:
    """Read a device, or card numbers, as published programs take them.

    Raises:
        argparse.ArgumentTypeError: It is neither.
    """
    known = {name.lower(): name for name in ("auto", "CPU", "GPU", "Ascend")}
    if text.lower() not in known and not _CARDS.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a device; choose from auto, CPU, GPU, Ascend, or a card number"
        )
    return known.get(text.lower(), text)


def choose_cards(args: argparse.Namespace) -> None:
    """Let the libraries see the cards that `--device N` names, and no other; the kind of device is left to be found.

    Args:
        args: Parsed arguments of any command; `device` becomes "auto" where it names cards.

    Raises:
        MindRestoreError: There are cards, and none of this number.
    """
    asked = getattr(args, "device", None)
    if not (isinstance(asked, str) and _CARDS.fullmatch(asked)):
        return
    from mindrestore.launch.plan import VISIBLE, visible_devices

    args.device, cards = "auto", [int(number) for number in asked.split(",")]
    for kind, variable in VISIBLE.items():
        there = [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]
        there = there or [str(number) for number in range(len(visible_devices(kind)))]
        if there and max(cards) >= len(there):
            raise MindRestoreError(f"--device {asked}: {len(there)} {kind} card(s) are visible here; count from 0")
        os.environ[variable] = ",".join(there[card] if there else str(card) for card in cards)


def read_source(args: argparse.Namespace) -> Any:
    """Make a `Trained` of the parsed arguments.

    Raises:
        MindRestoreError: Neither a run folder nor a model with weights was given, or both.
    """
    from mindrestore.inference.trained import Trained

    run_folder = getattr(args, "run_folder", None)
    if run_folder and (args.model or args.weights or args.hyper):
        raise MindRestoreError("use either a run folder or --model, --weights and --hyper, not both")
    if run_folder:
        return Trained.of_run(run_folder)
    if args.weights:
        hyper = read_hyper(args)
        if not args.model:
            return Trained.of_weights(args.weights, hyper)
        trained = Trained.of_file(args.model, args.weights, hyper)
        if args.weights.is_dir():
            print(f"weights: {trained.weights}, the newest below {args.weights}")
        return trained
    run_folder_or = "a run folder, or " if hasattr(args, "run_folder") else ""
    raise MindRestoreError(f"no network given; name {run_folder_or}--model NAME and --weights FILE")


def read_hyper(args: argparse.Namespace) -> dict[str, Any]:
    """Read the `--hyper KEY=VALUE` arguments.

    Raises:
        MindRestoreError: One is not of this form.
    """
    from mindrestore.recipes.yaml_text import YamlTextError, read_yaml  # here, so that a mistyped flag waits for none

    hyper = {}
    for text in args.hyper:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise MindRestoreError(f"--hyper {text}: use KEY=VALUE, such as n_feat=40")
        try:
            hyper[key] = read_yaml(value)
        except YamlTextError as error:
            raise MindRestoreError(
                f"--hyper {text[:80]}: the value cannot be read ({error}); use KEY=VALUE, such as n_feat=40"
            ) from error
    return hyper
