"""`mindrestore train`: run a recipe."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mindrestore.cli import aliases
from mindrestore.cli.settings_json import SETTINGS_RECIPE, read_settings
from mindrestore.cli.source import DEVICES, device
from mindrestore.errors import MindRestoreError
from mindrestore.recipes.load import load_recipe

_EXAMPLES = """examples:
  train.py --recipe quickstart data.root=data/quickstart
  train.py --recipe aecrnet/its data.root=/data/RESIDE train.batch_size=8 loss.terms.contrastive.vgg_weights=vgg19.npz
  train.py --run-dir runs/quickstart                    go on where that run stopped
  train.py --dir_data /data --filename first --lr 1e-4 --neg_num 4 --contra_lambda 20      as published
  train.py --model dehazeformer-b --dataset RESIDE-IN --exp indoor                         as published
  train.py --data_path /data/RESIDE-6K --data_name RESIDE-6K --nEpochs 200                 as published
  train.py --mode noise --train-dir /data --epoch-chg 398 702 925 1024 --epochs 1024       as published
"""


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser("train", help="train a recipe", description=__doc__, epilog=_EXAMPLES)
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="change any key of the recipe, such as optim.lr=2e-4"
    )
    parser.add_argument(
        "--recipe", metavar="NAME", help="packaged recipe, YAML file or run folder; see `mindrestore recipes`"
    )
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help="run folder (default: output.root/output.name)")
    resume = parser.add_mutually_exclusive_group()
    resume.add_argument(
        "--resume",
        dest="resume",
        action="store_const",
        const=True,
        default="auto",
        help="go on from the run folder's last state; an error when there is none",
    )
    resume.add_argument(
        "--no-resume",
        dest="resume",
        action="store_const",
        const=False,
        help="start anew; by default a run folder with a state is resumed",
    )
    parser.add_argument("--device", type=device, metavar="NAME", help=f"{DEVICES} (default: that of the recipe)")
    parser.add_argument(
        "--config-json",
        type=Path,
        metavar="FILE",
        help="settings file of DehazeFormer or CrossDehaze, such as configs/nid/default.json",
    )
    aliases.add_flags(parser, "train")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train and say where the results are."""
    name, overrides = choose_recipe(args)
    recipe = load_recipe(name, overrides)  # before MindSpore is imported: a misspelt key is reported at once
    from mindrestore import api

    result = api.train(recipe, resume=args.resume, run_dir=args.run_dir)
    print(f"trained {result.step} steps; everything is in {result.run_dir}")
    print(f"evaluate it:  mindrestore eval {result.run_dir}")
    print(f"export it:    mindrestore export {result.run_dir}")
    return 0


def choose_recipe(args: argparse.Namespace) -> tuple[str, list[str]]:
    """Find the recipe and the overrides that a command line asks for.

    Args:
        args: Parsed arguments of `train`.

    Returns:
        Name or path of the recipe, and `key=value` overrides: a settings file first, then published flags, so that
        explicit keys win.

    Raises:
        MindRestoreError: Neither a recipe nor a run folder nor a published flag says what to train.
    """
    system, values = aliases.given_values(args, args.recipe)
    for note in aliases.given_notes(system, values):
        print(f"note: {note}", file=sys.stderr)
    overrides = read_settings(args.config_json) if args.config_json else []
    overrides += aliases.recipe_overrides(system, values)
    if args.device:
        overrides.append(f"train.device={args.device}")
    overrides += args.overrides
    if args.recipe:
        return args.recipe, overrides
    if args.run_dir and (args.run_dir / "recipe.yaml").is_file():
        return str(args.run_dir), overrides
    if system:
        return system.recipe_for(values), [*system.defaults, *overrides]
    if args.config_json:
        return SETTINGS_RECIPE, overrides
    raise MindRestoreError("nothing says what to train; give --recipe NAME (`mindrestore recipes` lists the names)")
