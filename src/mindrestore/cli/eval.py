"""`mindrestore eval`: measure a trained network on image pairs, the input's own scores beside the restored ones."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mindrestore.cli import aliases
from mindrestore.cli.experiments import take_experiment
from mindrestore.cli.modes import find_weights, mode_sets
from mindrestore.cli.source import add_source, read_source
from mindrestore.errors import MindRestoreError
from mindrestore.recipes.load import load_recipe

_EXAMPLES = """examples:
  eval.py runs/quickstart                               the recipe's own test pairs and protocol
  eval.py --model aecrnet --weights x.ckpt --data /data/Dense-Haze --dataset dense_haze --protocol aecr
  eval.py runs/derain --data Synthetic_Rain_Datasets/test --protocol mpr-derain
                                                        five test sets, one line each, and their average
  eval.py runs/all --mode all_in_one --denoise_path BSD68/ --derain_path Rain100L/test/ --dehaze_path SOTS/outdoor/
                                                        as published: noise at sigma 15, 25 and 50, rain, haze
  eval.py --model dehazeformer-b --dataset RESIDE-IN --exp indoor
                                                        as published: ./data/, ./saved_models/, ./results/
"""


def add_parser(subparsers: Any) -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "eval", help="evaluate a run folder or a weight file", description=__doc__, epilog=_EXAMPLES
    )
    add_source(parser)
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of the test pairs, or of several test sets (default: of the run)",
    )
    parser.add_argument(
        "--dataset", metavar="NAME", help="name of the catalog (default: that of the run, else detected)"
    )
    parser.add_argument("--split", metavar="NAME", help="part of the data set (default: test)")
    parser.add_argument(
        "--protocol", metavar="NAME", help="how scores are measured (default: that of the run, else of the paper)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the report (default: RUN_FOLDER/report, else report)"
    )
    parser.add_argument("--max-images", type=int, metavar="N", help="stop after N pairs of every set")
    parser.add_argument("--tile", type=int, metavar="N", help="restore in tiles of N pixels, for large images")
    parser.add_argument(
        "--noise-seed", type=int, metavar="N", help="seed of the noise that tests add to clear images (default: 1234)"
    )
    parser.add_argument(
        "--reference-ssim",
        action="store_true",
        help="with --mode: measure rain with the SSIM of the published table, which runs along image columns only",
    )
    aliases.add_flags(parser, "eval")
    parser.set_defaults(run=run, mode=None, denoise_path=None, derain_path=None, dehaze_path=None)
    parser.set_defaults(exp=None, data_dir=None, save_dir=None, result_dir=None)


def run(args: argparse.Namespace) -> int:
    """Evaluate and print the table.

    Returns:
        0 when every pair was measured, 1 when some were left out; the table names them.
    """
    take_published_flags(args)
    if args.mode:
        find_weights(args)
    source = read_source(args)
    from mindrestore import api

    test_set = mode_sets(args) if args.mode else api.TestSet(args.data, args.dataset, args.split, args.noise_seed)
    report = api.evaluate(
        source,
        test_set,
        protocol=args.protocol,
        out=args.out,
        limit=args.max_images,
        device=args.device,
        tile=args.tile,
    )
    print(report.table)
    print(f"report and pictures: {report.folder}")
    print(f"in a browser: {report.folder / 'index.html'}")
    return int(bool(report.evaluation.failures))


def take_published_flags(args: argparse.Namespace) -> None:
    """Fill in the arguments that published flags stand for; an explicit flag of this command wins."""
    system, values = aliases.given_values(args)
    taken, unused = aliases.command_arguments(system, values, "eval")
    for name, value in taken.items():
        if getattr(args, name) in (None, "auto"):
            setattr(args, name, Path(value) if name in ("data", "weights", "out") else value)
    stray = [task for task in ("denoise", "derain", "dehaze") if getattr(args, f"{task}_path") and not args.mode]
    if stray:
        raise MindRestoreError(f"--{stray[0]}_path goes with --mode; give all_in_one, noise, rain or haze")
    if system and system.name == "dehazeformer":
        take_experiment(args, system, values)
    elif system and not args.model and not args.run_folder:
        recipe = load_recipe(system.recipe_for(values))
        args.model = recipe.model.name
        if not args.mode:
            args.protocol = args.protocol or recipe.validation.final_protocol
    if unused:
        print(f"note: {', '.join(unused)} concern training and change nothing here", file=sys.stderr)
