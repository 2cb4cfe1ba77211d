"""`mindrestore train`: run a recipe."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from mindrestore.cli.arguments import nonempty_path
from mindrestore.cli.source import DEVICES, device
from mindrestore.errors import MindRestoreError
from mindrestore.recipes.values import is_address

_EXAMPLES = """examples:
  train.py --recipe quickstart data.root=data/quickstart
  train.py --recipe aecrnet/its data.root=/data/RESIDE train.batch_size=8 loss.terms.contrastive.vgg_weights=vgg19.npz
  train.py --run-dir runs/quickstart                    continue where that run stopped
  train.py --recipe aecrnet/its --data_url obs://bucket/RESIDE --train_url obs://bucket/out    docs/cloud.md

The flags of the published programs work, too (docs/published.md), as in
  train.py --dir_data /data --filename first --lr 1e-4 --neg_num 4 --contra_lambda 20
  train.py --model dehazeformer-b --dataset RESIDE-IN --exp indoor
`mindrestore explain "python train.py ..."` says what each of them becomes.
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
    parser.add_argument(
        "--run-dir", type=nonempty_path, metavar="DIR", help="run folder (default: output.root/output.name)"
    )
    resume = parser.add_mutually_exclusive_group()
    resume.add_argument(
        "--resume",
        dest="resume",
        action="store_const",
        const=True,
        default="auto",
        help="resume from the run folder's last state; an error if there is none",
    )
    resume.add_argument(
        "--no-resume",
        dest="resume",
        action="store_const",
        const=False,
        help="start from scratch; by default a run folder with a state is resumed",
    )
    parser.add_argument("--device", type=device, metavar="NAME", help=f"{DEVICES} (default: that of the recipe)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train and say where the results are."""
    name, overrides = choose_recipe(args)
    from mindrestore.recipes.load import load_recipe, run_folder

    recipe = load_recipe(name, overrides)
    from mindrestore.ready import check_recipe

    check_recipe(recipe)  # before MindSpore is imported: what is misspelt or not there is reported at once
    in_cloud = any(map(is_address, (recipe.data.root, recipe.data.val_root, recipe.output.root)))
    if not in_cloud:
        from mindrestore.data.mixing import training_pairs

        training_pairs(recipe.data)
    print(f"{recipe.name}: starting MindSpore", flush=True)  # importing it takes seconds
    from mindrestore import api

    if not in_cloud:
        result = api.train(recipe, resume=args.resume, run_dir=args.run_dir or run_folder(name, overrides))
    elif args.run_dir:
        raise MindRestoreError("a run in object storage has no --run-dir; name it with --train_url and output.name")
    else:
        from mindrestore.cloud.job import in_the_cloud

        with in_the_cloud(recipe) as local:
            result = api.train(local, resume=args.resume)
    print(f"trained {result.step} steps; everything is in {result.run_dir}")
    folder = shlex.quote(str(result.run_dir))
    print(f"evaluate it:  mindrestore eval {folder}")
    print(f"use it:       mindrestore restore PHOTOS --weights {folder}")
    print(f"export it:    mindrestore export {folder}")
    return 0


def choose_recipe(args: argparse.Namespace) -> tuple[str, list[str]]:
    """Find the recipe and the overrides that a command line asks for.

    Args:
        args: Parsed arguments of `train`.

    Returns:
        Name or path of the recipe, and `key=value` overrides.

    Raises:
        MindRestoreError: Neither a recipe nor a run folder says what to train.
    """
    overrides = [f"train.device={args.device}"] if args.device else []
    overrides += args.overrides
    if args.recipe:
        return args.recipe, overrides
    if args.run_dir and (args.run_dir / "recipe.yaml").is_file():
        return str(args.run_dir), overrides
    raise MindRestoreError("no recipe given; use --recipe NAME (`mindrestore recipes` lists the names)")
